#pragma once

#include <cstdint>
#include <vector>

#include "base/philox.h"
#include "kernels/cpu/scratch.h"
#include "kernels/sampling.h"

// The SIMD half of the CPU sampler: everything that touches every cell. Plain arrays in and out, so
// that what drives it is compiled once, for the oldest CPU.
namespace sbm::kernels::cpu {

inline constexpr std::int64_t kBlockKeys = 64;       ///< a word of edge bits
inline constexpr int kGroupRows = 16;                ///< rows that share one pass over the keys
inline constexpr std::int64_t kProductStride = 256;  ///< between rows of Qhat S: the most clusters

/// Between rows of W: a last odd cluster has a zero beside it.
inline constexpr std::int64_t kWeightStride = kProductStride + 2;

/// Vectors of clusters (the keys of a graph, or the columns of S) in the order in which dot
/// products read them: [blocks of 64][groups of 4 SIMD vectors][pairs of clusters][64 / groups][2].
struct DotTiles {
  std::int64_t count = 0;   ///< vectors; the last block is filled up with zeros
  std::int64_t stride = 0;  ///< clusters rounded up to a pair
  AlignedBuffer<std::uint16_t> tiles;

  [[nodiscard]] std::int64_t blocks() const { return (count + kBlockKeys - 1) / kBlockKeys; }
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

/// The slot of each cell of a block: arrays "in slot order" have their 64 cells of a block in the
/// order that suits the instruction set.
void list_cell_slots(std::int32_t* slots);

/// Fills tiles.tiles from `entries` [count, stride]; in slot order, or as they come.
void pack_tiles(const std::uint16_t* entries, bool in_slot_order, DotTiles& tiles);

/// Quantises `memberships` [rows, clusters] to `entries` [rows, stride]; rows that are not `valid`
/// (null: all are) become zeros and are not read. False when a value lies outside [0, 1].
bool quantize_rows(const float* memberships, const std::uint8_t* valid, std::int64_t rows,
                   std::int64_t clusters, std::int64_t stride, std::uint16_t* entries,
                   std::uint8_t* exponents);

/// products[row * kProductStride + c] = sum over a of rows[row][a] S[a][c], exactly, for up to
/// kGroupRows rows. `rows` has kGroupRows pointers.
void multiply_rows(const std::uint16_t* const* rows, int count, const DotTiles& columns,
                   std::uint32_t* products);

/// Re-quantises products of `count` rows (which it uses up) to W [count, kWeightStride], each with
/// a zero behind its last cluster, and R [count]: quantize_weights().
void requantize_rows(std::uint32_t* products, int count, const std::int32_t* block_exponents,
                     std::int64_t clusters, const std::uint8_t* query_exponents,
                     std::uint16_t* weights, std::int32_t* row_exponents);

/// The first branch for up to kGroupRows rows of a graph.
struct EveryCellCall {
  const DotTiles* keys = nullptr;               ///< in slot order
  const std::int32_t* key_exponents = nullptr;  ///< [blocks, 64] in slot order
  const std::uint64_t* valid_bits = nullptr;    ///< [blocks]
  int least_key_exponent = 0;
  const std::uint64_t* call_products = nullptr;  ///< [blocks, 8], call_product() of each
  PhiloxKey stream = 0;
  MaskLaw law = MaskLaw::kBernoulli;
  std::uint32_t exploration = 0;  ///< in units of 2^-32

  int rows = 0;
  std::uint32_t row_numbers[kGroupRows] = {};
  const std::uint16_t* weights[kGroupRows] = {};  ///< all kGroupRows of them can be read
  std::int32_t exponents[kGroupRows] = {};

  std::uint64_t* edges[kGroupRows] = {};      ///< out [blocks]: the drawn cells of each row
  std::uint64_t* saturated[kGroupRows] = {};  ///< out [blocks]: those among them that are saturated
  std::uint32_t* thresholds[kGroupRows] = {};  ///< out [blocks, 64] in slot order; null: unwanted
};

void sample_every_cell(const EveryCellCall& call);

/// Writes the positions of the set bits of words[0, blocks); returns their number. `columns` has
/// room for kWidestLanes more.
std::int64_t list_columns(const std::uint64_t* words, std::int64_t blocks, std::int32_t* columns);

}  // namespace sbm::kernels::cpu
