#pragma once

#include <cstdint>
#include <utility>

#include "kernels/cpu/scratch.h"
#include "kernels/edge_list.h"

// The backward cuts a head into tiles, row blocks x key blocks, so that the rows of both sides and
// the transposed lists of a tile stay in the first caches.
namespace sbm::kernels::cpu {

/// The lists of a graph that one pass of the backward goes along: its edges, or its probes.
struct CellRows {
  const std::int64_t* row_offsets = nullptr;  ///< [rows + 1]
  std::int64_t rows = 0;
  const std::int32_t* columns = nullptr;
  const float* gates = nullptr;  ///< null: all open, but for the diagonal if it was forced
  const float* probabilities = nullptr;
  bool diagonal_forced = false;
  bool are_probes = false;

  [[nodiscard]] std::int64_t size() const { return row_offsets[rows]; }
};

[[nodiscard]] CellRows edges_of(const EdgeList& graph);
[[nodiscard]] CellRows probes_of(const EdgeList& graph);

/// How the cells of a head are cut. It follows from the graph's size and edges alone, so that sums
/// have the same order on every executor.
struct TileGrid {
  std::int64_t rows = 0;
  std::int64_t keys = 0;
  std::int64_t rows_per_block = 1;
  std::int64_t keys_per_block = 1;

  TileGrid(const CellRows& cell_rows, std::int64_t key_count);
  /// At least one of each, so that a head without tokens on one side still has its zeros written.
  [[nodiscard]] std::int64_t row_blocks() const;
  [[nodiscard]] std::int64_t key_blocks() const;
};

/// Rows [first_row, last_row) x keys [first_key, last_key).
struct Tile {
  std::int64_t first_row = 0;
  std::int64_t last_row = 0;
  std::int64_t first_key = 0;
  std::int64_t last_key = 0;

  Tile(const TileGrid& grid, std::int64_t row_block, std::int64_t key_block);
};

/// A block of rows on its way through the key blocks, from left to right.
class RowCursors {
 public:
  /// All of `tile`'s rows at their first edge. Throws std::bad_alloc.
  void start(const CellRows& cells, const Tile& tile);
  /// The edges in the tile went by.
  void advance() { std::swap(begins_, ends_); }

  /// Of row first_row + r: its first edge in the tile, and the one after its last.
  [[nodiscard]] std::int64_t* begins() const { return begins_.data(); }
  [[nodiscard]] std::int64_t* ends() const { return ends_.data(); }
  /// dO . O of the rows, computed in the first tile.
  [[nodiscard]] float* output_gains() const { return output_gains_.data(); }

 private:
  AlignedBuffer<std::int64_t> begins_;
  AlignedBuffer<std::int64_t> ends_;
  AlignedBuffer<float> output_gains_;
};

/// What an edge passes from its row's side to its key's side, as four 32-bit words: scale * dL/ds,
/// the weight after dropout, G, and the row (an int32's bits).
inline constexpr std::int64_t kEdgeWords = 4;

/// The edges of a tile, sorted by key (rows ascending) while the rows are worked on.
class TileEdges {
 public:
  /// Finds the ends of the rows in the tile and where each key's edges start. Throws
  /// std::bad_alloc.
  void start(const CellRows& cells, const Tile& tile, const RowCursors& rows, bool bf16);

  /// Where the next edge of key first_key + j goes, in edges; whoever puts one there increases it.
  /// When all edges have their place, it is where the edges of that key end.
  [[nodiscard]] std::int64_t* cursors() const { return cursors_.data(); }
  [[nodiscard]] float* values() const { return values_.data(); }
  /// With `bf16`: G of the edges, row after row, rounded to bfloat16.
  [[nodiscard]] std::uint16_t* gradients() const { return gradients_.data(); }

 private:
  AlignedBuffer<std::int64_t> cursors_;
  AlignedBuffer<float> values_;
  AlignedBuffer<std::uint16_t> gradients_;
};

}  // namespace sbm::kernels::cpu
