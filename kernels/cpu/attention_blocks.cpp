#include "kernels/cpu/attention_blocks.h"

#include <algorithm>

namespace sbm::kernels::cpu {
namespace {

/// 16 bytes an edge: half of a usual second-level cache.
constexpr std::int64_t kBlockEdges = 32768;

/// Each block loads and stores the sums of every key once: enough edges must share that.
constexpr std::int64_t kEdgesPerKey = 8;

}  // namespace

std::vector<RowBlock> row_blocks(const EdgeList& graph, std::int64_t keys) {
  const std::int64_t limit = std::max(kBlockEdges, kEdgesPerKey * keys);
  const auto rows = static_cast<std::int64_t>(graph.row_offsets.size()) - 1;
  std::vector<RowBlock> blocks;
  RowBlock block;
  std::int64_t begin = 0;
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t end = graph.row_offsets[static_cast<std::size_t>(i) + 1];
    if (end - begin > limit && i > block.first) {
      blocks.push_back({block.first, i});
      block.first = i;
      begin = graph.row_offsets[static_cast<std::size_t>(i)];
    }
  }
  blocks.push_back({block.first, rows});
  return blocks;
}

void BlockEdges::start(const EdgeList& graph, RowBlock block, std::int64_t keys) {
  const std::int64_t first = graph.row_offsets[static_cast<std::size_t>(block.first)];
  const std::int64_t last = graph.row_offsets[static_cast<std::size_t>(block.last)];
  values_.reserve(static_cast<std::size_t>(kEdgeWords * (last - first)));
  std::int64_t* cursors = cursors_.reserve(static_cast<std::size_t>(keys));
  std::fill(cursors, cursors + keys, 0);
  const std::int32_t* columns = graph.columns.data();
  for (std::int64_t e = first; e < last; ++e) ++cursors[columns[e]];
  std::int64_t sum = 0;
  for (std::int64_t j = 0; j < keys; ++j) {
    const std::int64_t count = cursors[j];
    cursors[j] = sum;
    sum += count;
  }
}

}  // namespace sbm::kernels::cpu
