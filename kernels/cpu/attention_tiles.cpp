#include "kernels/cpu/attention_tiles.h"

#include <algorithm>
#include <iterator>

#include "base/checked.h"

namespace sbm::kernels::cpu {
namespace {

// A tile loads and stores the sums of each of its rows and keys once: so many edges share that on
// average. The fastest of the measured sizes at 2,048 tokens, 32 to 128 clusters; half or twice as
// many cost a few percent.
constexpr double kEdgesPerRow = 128;
constexpr double kEdgesPerKey = 16;
constexpr std::int64_t kSmallestSide = 64;

/// The side along which `edges` edges are expected, in whole multiples of the smallest.
std::int64_t side(double edges, double density, std::int64_t tokens) {
  const double wanted = edges / density;
  if (wanted >= static_cast<double>(tokens)) return std::max<std::int64_t>(tokens, 1);
  return round_up(std::max(static_cast<std::int64_t>(wanted), kSmallestSide), kSmallestSide);
}

}  // namespace

CellRows edges_of(const EdgeList& graph) {
  return {.row_offsets = graph.row_offsets.data(),
          .rows = std::ssize(graph.row_offsets) - 1,
          .columns = graph.columns.data(),
          .gates = graph.gates.empty() ? nullptr : graph.gates.data(),
          .probabilities = graph.probabilities.empty() ? nullptr : graph.probabilities.data(),
          .diagonal_forced = graph.diagonal_forced};
}

CellRows probes_of(const EdgeList& graph) {
  const ProbeList& probes = graph.probes;
  return {.row_offsets = probes.row_offsets.data(),
          .rows = std::ssize(probes.row_offsets) - 1,
          .columns = probes.columns.data(),
          .gates = probes.gates.empty() ? nullptr : probes.gates.data(),
          .probabilities = probes.probabilities.data(),
          .are_probes = true};
}

TileGrid::TileGrid(const CellRows& cell_rows, std::int64_t key_count)
    : rows(cell_rows.rows), keys(key_count) {
  const double cells = static_cast<double>(rows) * static_cast<double>(keys);
  const double density = static_cast<double>(cell_rows.size()) / std::max(cells, 1.0);
  rows_per_block = side(kEdgesPerKey, density, rows);
  keys_per_block = side(kEdgesPerRow, density, keys);
}

std::int64_t TileGrid::row_blocks() const {
  return std::max<std::int64_t>(1, ceil_divide(rows, rows_per_block));
}

std::int64_t TileGrid::key_blocks() const {
  return std::max<std::int64_t>(1, ceil_divide(keys, keys_per_block));
}

Tile::Tile(const TileGrid& grid, std::int64_t row_block, std::int64_t key_block)
    : first_row(row_block * grid.rows_per_block),
      last_row(std::min(first_row + grid.rows_per_block, grid.rows)),
      first_key(key_block * grid.keys_per_block),
      last_key(std::min(first_key + grid.keys_per_block, grid.keys)) {}

void RowCursors::start(const CellRows& cells, const Tile& tile) {
  const auto count = static_cast<std::size_t>(tile.last_row - tile.first_row);
  begins_.reserve(count);
  ends_.reserve(count);
  output_gains_.reserve(count);
  std::copy_n(cells.row_offsets + tile.first_row, count, begins_.data());
}

void TileEdges::start(const CellRows& cells, const Tile& tile, const RowCursors& rows, bool bf16) {
  const std::int64_t keys = tile.last_key - tile.first_key;
  std::int64_t* cursors = cursors_.reserve(static_cast<std::size_t>(keys));
  std::fill(cursors, cursors + keys, 0);
  const std::int32_t* columns = cells.columns;
  const std::int64_t rows_in_tile = tile.last_row - tile.first_row;
  const auto first_key = static_cast<std::int32_t>(tile.first_key);
  const auto last_key = static_cast<std::int32_t>(tile.last_key);
  for (std::int64_t r = 0; r < rows_in_tile; ++r) {
    const std::int64_t row_end = cells.row_offsets[tile.first_row + r + 1];
    std::int64_t e = rows.begins()[r];
    // Most rows go on in the next tile, and a search for where would miss the caches.
    for (; e < row_end && columns[e] < last_key; ++e) ++cursors[columns[e] - first_key];
    rows.ends()[r] = e;
  }
  std::int64_t sum = 0;
  for (std::int64_t j = 0; j < keys; ++j) {
    const std::int64_t count = cursors[j];
    cursors[j] = sum;
    sum += count;
  }
  values_.reserve(static_cast<std::size_t>(kEdgeWords * sum));
  if (bf16) gradients_.reserve(static_cast<std::size_t>(sum));
}

}  // namespace sbm::kernels::cpu
