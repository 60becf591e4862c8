#pragma once

#include <cstddef>
#include <cstdint>

#include "base/philox.h"
#include "kernels/attention.h"
#include "kernels/cuda/sampling.h"

// What the kernels of one sampling call hand to one another.
namespace sbm::kernels::cuda {

/// Keys between two running sums of their proposal weights.
inline constexpr int kStripKeys = 16;
inline constexpr int kTileStrips = kMaskTile / kStripKeys;

/// What becomes of a row, beside the factors 2^16 / c of linear rows (2,849 and more).
inline constexpr std::uint32_t kCellRow = 0;   ///< first branch
inline constexpr std::uint32_t kEmptyRow = 1;  ///< padding, or there is no valid key

/// How a graph is drawn.
enum class GraphKind : std::uint32_t {
  kDense,      ///< a whole mask
  kBitLists,   ///< a whole mask, then lists made of it
  kRowLists,   ///< lists row by row; a mask only where rows take the first branch
  kOverflown,  ///< was kRowLists, but does not fit: a whole mask
};

/// Lists under construction.
struct ListBuild {
  SampledLists lists;
  std::uint32_t* row_counts = nullptr;     ///< [graphs, queries]
  std::uint32_t* row_starts = nullptr;     ///< [graphs, queries], where `lists.rows` has them first
  std::uint32_t* column_counts = nullptr;  ///< [graphs, keys]
  std::uint32_t* cursors = nullptr;        ///< [graphs]
};

/// One call; plain numbers and device pointers.
struct SamplingCall {
  std::int32_t batch = 0;
  std::int32_t heads = 0;
  std::int32_t graphs = 0;
  std::int32_t queries = 0;
  std::int32_t keys = 0;
  std::int32_t clusters = 0;
  std::int32_t units = 0;      ///< entry_units(clusters)
  std::int32_t row_tiles = 0;  ///< mask_tiles(queries)
  std::int32_t key_tiles = 0;  ///< mask_tiles(keys)

  const float* query_membership = nullptr;
  const float* key_membership = nullptr;
  const float* block_matrix = nullptr;
  const std::uint8_t* query_valid = nullptr;
  const std::uint8_t* key_valid = nullptr;
  const PhiloxKey* mask_keys = nullptr;
  const PhiloxKey* probe_keys = nullptr;
  MaskLaw law = MaskLaw::kBernoulli;
  SelfLoops self_loops = SelfLoops::kAdd;
  std::uint32_t exploration = 0;   ///< D
  std::uint64_t probe_units = 0;   ///< U
  std::uint64_t probe_hazard = 0;  ///< h

  AttentionPath path = AttentionPath::kAuto;
  std::uint64_t sparse_below = 0;  ///< in units of 2^-32

  // Workspace. Bits of tokens stand in natural order.
  std::uint64_t* query_bits = nullptr;      ///< [batch, row_tiles]
  std::uint64_t* key_bits = nullptr;        ///< [batch, key_tiles]
  std::uint32_t* keys_before = nullptr;     ///< [batch, key_tiles + 1]: valid keys before a tile
  std::uint32_t* valid_queries = nullptr;   ///< [batch]
  std::uint32_t* forced_cells = nullptr;    ///< [batch]: valid cells of the diagonal
  EntryBytes* block_columns = nullptr;      ///< [heads, 8 units, units]: column after column
  std::int32_t* block_exponents = nullptr;  ///< [heads, 8 units]
  std::int32_t* tile_exponents = nullptr;   ///< [graphs, key_tiles]: least of the valid keys
  std::int32_t* least_exponents = nullptr;  ///< [graphs]
  std::uint64_t* strip_sums = nullptr;      ///< [graphs, clusters, kTileStrips key_tiles + 1]
  std::uint32_t* tile_largest = nullptr;    ///< [graphs, clusters, key_tiles]
  std::uint32_t* largest = nullptr;         ///< [graphs, clusters]
  std::uint16_t* row_factors = nullptr;     ///< [graphs, queries]
  std::uint64_t* tile_expected = nullptr;   ///< [graphs, row_tiles]: edges, in units of 2^-16
  std::uint32_t* tile_cell_rows = nullptr;  ///< [graphs, row_tiles]: rows of the first branch
  GraphKind* kinds = nullptr;               ///< [graphs]
  std::uint32_t* overflown = nullptr;       ///< [graphs]: the list of them
  std::uint32_t* overflown_count = nullptr;
  ListBuild edges;
  ListBuild probes;

  SampledGraphs out;

  [[nodiscard]] SBM_HOST_DEVICE std::int32_t strips() const { return kTileStrips * key_tiles; }
  [[nodiscard]] SBM_HOST_DEVICE std::int64_t graph_words() const {
    return std::int64_t{row_tiles} * key_tiles * kMaskTile;
  }
  /// The running sums of one cluster's proposal weights: [strips + 1].
  [[nodiscard]] SBM_HOST_DEVICE std::uint64_t* sums(std::int64_t graph,
                                                    std::int64_t cluster) const {
    return strip_sums + (graph * clusters + cluster) * (strips() + 1);
  }
  [[nodiscard]] SBM_HOST_DEVICE const EntryBytes* weight_row(std::int64_t graph,
                                                             std::int64_t row) const {
    return out.weights + (graph * queries + row) * units;
  }
  [[nodiscard]] SBM_HOST_DEVICE const EntryBytes* key_row(std::int64_t graph,
                                                          std::int64_t key) const {
    return out.key_entries + (graph * keys + key) * units;
  }
};

}  // namespace sbm::kernels::cuda
