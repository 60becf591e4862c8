#pragma once

#include <cstddef>

#include "kernels/sampling.h"
#include "kernels/status.h"

namespace sbm::kernels {

/// Whether sizes, pointers and constants make sense, and `graphs` is batch * heads.
Status check_sampling(const SamplingParams& params, std::size_t graphs);

/// Whether every entry of S is finite and >= 0; names the first that is not.
Status check_block_matrix(const SamplingParams& params);

/// check_block_matrix(), and whether every membership of a valid token lies in [0, 1] and every
/// entry of S is finite and >= 0; names the first value that does not. What padded tokens hold is
/// never read.
Status check_sampling_values(const SamplingParams& params);

}  // namespace sbm::kernels
