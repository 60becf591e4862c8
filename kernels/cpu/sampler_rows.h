#pragma once

#include <cstdint>

#include "base/philox.h"
#include "kernels/cpu/scratch.h"
#include "kernels/sampler_operands.h"
#include "kernels/sampler_process.h"
#include "kernels/sampling.h"

// The SIMD half of the CPU sampler: everything that touches every cell. Plain arrays in and out, so
// that what drives it is compiled once, for the oldest CPU.
namespace sbm::kernels::cpu {

inline constexpr std::int64_t kBlockKeys = 64;       ///< a word of edge bits
inline constexpr int kGroupRows = 32;                ///< rows that share one pass over the keys
inline constexpr std::int64_t kProductStride = 256;  ///< between rows of Qhat S: the most clusters

/// Rows of 16-bit entries are filled up with zeros to whole vectors of the widest instruction set.
inline constexpr std::int64_t kEntryLanes = 2 * kWidestLanes;
[[nodiscard]] constexpr std::int64_t entry_stride(std::int64_t clusters) {
  return (clusters + kEntryLanes - 1) / kEntryLanes * kEntryLanes;
}
/// Between rows of Qhat and of W.
inline constexpr std::int64_t kWeightStride = 256;
static_assert(kWeightStride == entry_stride(kProductStride));

/// Vectors of clusters (the keys of a graph, or the columns of S) in the order in which dot
/// products read them: [blocks of 64][groups of 4 SIMD vectors][pairs of clusters][64 / groups][2].
struct DotTiles {
  std::int64_t count = 0;     ///< vectors; the last block is filled up with zeros
  std::int64_t clusters = 0;  ///< of each vector
  AlignedBuffer<std::uint16_t> tiles;

  [[nodiscard]] std::int64_t blocks() const { return (count + kBlockKeys - 1) / kBlockKeys; }
  [[nodiscard]] std::int64_t pairs() const { return (clusters + 1) / 2; }
};

/// The upper 8 bits of the entries of the keys: [blocks][4s of clusters][64 in coarse order][4].
struct CoarseTiles {
  AlignedBuffer<std::uint8_t> tiles;
  AlignedBuffer<std::int32_t> exponents;  ///< [blocks, 64] in coarse order; 31 for padding
};

/// For each byte, where its bits are set.
struct BitPositions {
  std::uint8_t of[256][8];

  constexpr BitPositions() : of{} {
    for (unsigned byte = 0; byte < 256; ++byte) {
      int count = 0;
      for (std::uint8_t bit = 0; bit < 8; ++bit) {
        if ((byte >> bit & 1U) != 0) of[byte][count++] = bit;
      }
    }
  }
};
inline constexpr BitPositions kBitPositions;

/// 0, 1, .., 63.
struct CellNumbers {
  alignas(64) std::uint8_t of[kBlockKeys];

  constexpr CellNumbers() : of{} {
    for (std::uint8_t cell = 0; cell < kBlockKeys; ++cell) of[cell] = cell;
  }
};
inline constexpr CellNumbers kCellNumbers;

/// An upper bound of the keys of each block: its largest entries at its least exponent.
struct KeyBounds {
  AlignedBuffer<std::uint16_t> entries;   ///< [blocks, entry_stride(clusters)]
  AlignedBuffer<std::int32_t> exponents;  ///< [blocks]
  DotTiles largest;                       ///< the same entries
};

/// Where the cells of a block lie: arrays "in slot order" have its 64 cells in the order that suits
/// the instruction set.
enum class TileOrder {
  kNatural,
  kSlots,
};
void list_cell_slots(std::int32_t* slots);

/// Fills tiles.tiles from tiles.count rows of `entries`, `stride` apart.
void pack_tiles(const std::uint16_t* entries, std::int64_t stride, TileOrder order,
                DotTiles& tiles);

/// Quantises `memberships` [rows, clusters] to `entries` [rows, stride], each filled up with zeros;
/// rows that are not `valid` (null: all are) become zeros and are not read. False when a value lies
/// outside [0, 1]. Aligned to vectors.
bool quantize_rows(const float* memberships, const std::uint8_t* valid, std::int64_t rows,
                   std::int64_t clusters, std::int64_t stride, std::uint16_t* entries,
                   std::uint8_t* exponents);

/// products[row * kProductStride + c] = sum over a of rows[row][a] S[a][c], exactly, for up to
/// kGroupRows rows. `rows` has kGroupRows pointers.
void multiply_rows(const std::uint16_t* const* rows, int count, const DotTiles& columns,
                   std::uint32_t* products);

/// Re-quantises products of `count` rows to W [count, kWeightStride], each filled up with zeros,
/// and R [count]: quantize_weights(). The exponents are filled up to entry_stride(clusters).
void requantize_rows(const std::uint32_t* products, int count, const std::int32_t* block_exponents,
                     std::int64_t clusters, const std::uint8_t* query_exponents,
                     std::uint16_t* weights, std::int32_t* row_exponents);

/// Keys between two running sums of sum_keys(): a strip.
inline constexpr std::int64_t kStripKeys = 8;

/// For each cluster, running sums of the valid keys' proposal weights,
///   strips [clusters, number of strips + 1],
/// the first 0, the last the total; and the largest weight [keys.stride]. The scale of a key is
/// scale_bits - (its exponent - least_exponent).
void sum_keys(const QuantizedKeys& keys, int least_exponent, int scale_bits, std::uint64_t* strips,
              std::uint32_t* largest);

/// sums[i] = accumulate() of the weights and key columns[i], for `count` of them. Weights and keys
/// are filled up with zeros to keys.stride, entry_stride(clusters), and aligned to vectors.
void accumulate_keys(const std::uint16_t* weights, const QuantizedKeys& keys,
                     const std::int32_t* columns, std::int64_t count, std::uint32_t* sums);

/// Totals and largest weights of all keys in each cluster, [keys.stride], the totals as their lower
/// and upper 32 bits.
struct KeyTotals {
  AlignedBuffer<std::uint32_t> low;
  AlignedBuffer<std::uint32_t> high;
  AlignedBuffer<std::uint32_t> largest;
};

/// Totals of one row, by the keys' totals of every cluster.
RowTotals sum_weights(const std::uint16_t* weights, const KeyTotals& totals, std::int64_t clusters);

/// The first branch for up to kGroupRows rows of a graph.
struct CellsCall {
  std::int64_t blocks = 0;
  std::int64_t clusters = 0;
  const std::uint64_t* valid_bits = nullptr;     ///< [blocks]
  const std::uint64_t* call_products = nullptr;  ///< [blocks, 8], call_product() of each
  const std::uint16_t* entries = nullptr;        ///< [keys, entry_stride(clusters)]
  const std::uint8_t* key_exponents = nullptr;   ///< [keys]
  int least_key_exponent = 0;
  PhiloxKey stream = 0;
  MaskLaw law = MaskLaw::kBernoulli;
  std::uint32_t exploration = 0;  ///< in units of 2^-32

  const DotTiles* tiles = nullptr;               ///< every cell: in slot order
  const std::int32_t* slot_exponents = nullptr;  ///< every cell: [blocks, 64] in slot order
  const CoarseTiles* coarse = nullptr;           ///< coarse

  int rows = 0;
  std::uint32_t row_numbers[kGroupRows] = {};
  const std::uint16_t* weights[kGroupRows] = {};  ///< all kGroupRows of them can be read
  std::int32_t exponents[kGroupRows] = {};
  bool may_saturate[kGroupRows] = {};           ///< whether some P + exploration may reach 1
  const std::int32_t* limits[kGroupRows] = {};  ///< screened: [blocks] of bound_rows()

  std::uint64_t* edges[kGroupRows] = {};      ///< out [blocks]: the drawn cells of each row
  std::uint64_t* saturated[kGroupRows] = {};  ///< out [blocks]: those among them that are saturated
  std::uint32_t* thresholds[kGroupRows] = {};  ///< out [keys]: of the drawn cells; null: unwanted
};

/// Compares every cell's exact threshold with its random number.
void sample_every_cell(const CellsCall& call);

/// Has 8-bit dot products decide most cells, and computes the exact thresholds of the rest. Only
/// where form_costs() says so, and for rows that fits_coarse().
void sample_coarsely(const CellsCall& call);
/// log2 of what the products of a row count: its largest weight takes 7 bits, the keys lose their
/// lower 7.
[[nodiscard]] inline int coarse_unit_bits(const std::uint16_t* weights, std::int64_t clusters) {
  std::uint32_t all = 64;
  for (std::int64_t c = 0; c < clusters; ++c) all |= weights[c];
  return 32 - __builtin_clz(all);
}
/// Whether no sum has to be shifted left, `exponent` being R + the least e_j.
[[nodiscard]] inline bool fits_coarse(const std::uint16_t* weights, std::int64_t clusters,
                                      int exponent) {
  return exponent + 16 - coarse_unit_bits(weights, clusters) >= 0;
}
void pack_coarse(const std::uint16_t* entries, const std::uint8_t* exponents, std::int64_t keys,
                 std::int64_t clusters, CoarseTiles& tiles);

/// Computes the exact thresholds only of cells whose random number is below a bound of the block.
void sample_screened(const CellsCall& call);
void bound_keys(const std::uint16_t* entries, const std::uint8_t* exponents,
                const std::uint64_t* valid_bits, std::int64_t keys, std::int64_t clusters,
                KeyBounds& bounds);

/// limits[row * stride + block] = the largest upper half of a random number that can make an edge
/// in this block, -1 when none can; for the rows of the call. candidates[row] = how many cells of
/// the row are below, in the mean. `stride` is the number of blocks, rounded up to whole blocks.
void bound_rows(const CellsCall& call, const KeyBounds& bounds, std::int64_t stride,
                std::uint32_t* accumulators, std::int32_t* limits, float* candidates);

/// Cycles a cell that each form takes, and those of each cell that needs its exact threshold;
/// measured, see sampler_costs-inl.h.
struct FormCosts {
  float every_cell = 0.0F;
  float coarse = 0.0F;  ///< infinite where the instruction set lacks it
  float screened = 0.0F;
  float candidate = 0.0F;
};
FormCosts form_costs(std::int64_t clusters);

/// Writes the positions of the set bits of words[0, blocks); returns their number. `columns` has
/// room for kColumnSlack more.
std::int64_t list_columns(const std::uint64_t* words, std::int64_t blocks, std::int32_t* columns);
inline constexpr std::int64_t kColumnSlack = 64;

}  // namespace sbm::kernels::cpu
