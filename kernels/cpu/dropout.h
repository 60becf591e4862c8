#pragma once

#include <cstdint>
#include <span>

#include "base/philox.h"
#include "kernels/executor.h"
#include "kernels/status.h"

namespace sbm::kernels::cpu {

/// output = input * kept / (1 - p), the mask drawn from (key of the sample; token, feature), so it
/// does not depend on the batch or the padding; p is rounded to 1/65536, as
/// for attention. Feature f of token t of sample b is dropped when the 16-bit half f & 1 of word
/// (f / 2) & 3 of philox4x32<7>({t, f / 8, 0, 0}, keys[b]) is below p * 65536. The same call on the
/// gradient is the backward. input and output [keys.size(), tokens, features], dense; they may be
/// the same.
Status keyed_dropout(std::span<const float> input, std::span<float> output, std::int64_t tokens,
                     std::int64_t features, double probability, std::span<const PhiloxKey> keys,
                     Executor& executor);

}  // namespace sbm::kernels::cpu
