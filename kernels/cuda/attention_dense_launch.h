#pragma once

#include <algorithm>
#include <cstdint>

#include "base/checked.h"
#include "kernels/attention.h"

namespace sbm::kernels::cuda::dense {

/// Shared memory that a block may have on sm_80 (on sm_90 227 KiB).
inline constexpr int kLargestSharedBytes = 163 * 1024;

/// Blocks of a launch over `tokens` of every graph in pieces of `block_tokens`: never more than
/// there can be pieces, and few enough that their turning up for an empty list costs little.
[[nodiscard]] inline unsigned grid_size(const AttentionShape& shape, std::int64_t tokens,
                                        std::int64_t block_tokens) {
  constexpr std::int64_t kMostBlocks = 2048;  // 8 rounds of two blocks on 132 multiprocessors
  const std::int64_t pieces = shape.batch * shape.heads * ceil_divide(tokens, block_tokens);
  return static_cast<unsigned>(std::min(pieces, kMostBlocks));
}

}  // namespace sbm::kernels::cuda::dense
