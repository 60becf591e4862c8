#pragma once

#include <cstdint>
#include <vector>

#include "trainer/encoder.h"
#include "trainer/report.h"

namespace sbm::trainer {

/// The masks that a forward pass over the one sample of `input` attends along, one for each layer
/// and head, beside the P they are drawn from (exploration not added), cropped to the sample's
/// first `most_tokens` tokens. Empty for FULL. O(most_tokens^2 k) a head. Throws InternalError when
/// `input` has not exactly one sample.
std::vector<MaskPicture> draw_mask_pictures(const Encoder& encoder, const EncoderInput& input,
                                            std::int64_t most_tokens);

}  // namespace sbm::trainer
