#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/attention.h"

namespace sbm::kernels::cuda {

/// Lines (rows or columns) of a graph that a block of the edge-list kernels owns at a time.
inline constexpr int kEdgeBlockLines = 32;

/// The blocks of an edge-list kernel. How much work there is is known on the device alone: blocks
/// take every gridDim.x-th piece of it, so the grid only has to fill the largest GPU, 16 blocks on
/// each of 132 processors.
[[nodiscard]] inline std::uint32_t edge_blocks(const AttentionShape& shape, std::int64_t lines) {
  constexpr std::int64_t kMost = 132 * 16;
  const std::int64_t pieces =
      shape.batch * shape.heads * ((lines + kEdgeBlockLines - 1) / kEdgeBlockLines);
  return static_cast<std::uint32_t>(std::min(pieces, kMost));
}

}  // namespace sbm::kernels::cuda
