#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/attention_scratch.h"
#include "kernels/edge_list.h"

// The transposed lists of the backward: per block of rows, the edges of each key with the values
// that flow to it.
namespace sbm::kernels::cpu {

/// Rows [first, last) whose edges pass from the rows' side to the keys' side together.
struct RowBlock {
  std::int64_t first = 0;
  std::int64_t last = 0;
};

/// Cuts the rows of a graph into blocks, at least one. A block is small enough for its edges to
/// stay in the cache, yet has several edges a key. The cuts follow from the graph alone.
[[nodiscard]] std::vector<RowBlock> row_blocks(const EdgeList& graph, std::int64_t keys);

/// What an edge passes on, as four 32-bit words: scale * dL/ds, the weight after dropout, G, and
/// the row (an int32's bits).
inline constexpr std::int64_t kEdgeWords = 4;

/// The edges of a block, sorted by key (rows ascending) while the rows are worked on.
class BlockEdges {
 public:
  /// Makes room and finds where each key's edges start. Throws std::bad_alloc.
  void start(const EdgeList& graph, RowBlock block, std::int64_t keys);

  /// Where the next edge of key j goes, in edges; to be increased by whoever puts one there. When
  /// all edges have their place, it is where the edges of key j end.
  [[nodiscard]] std::int64_t* cursors() const { return cursors_.data(); }
  [[nodiscard]] float* values() const { return values_.data(); }

 private:
  AlignedBuffer<std::int64_t> cursors_;
  AlignedBuffer<float> values_;
};

}  // namespace sbm::kernels::cpu
