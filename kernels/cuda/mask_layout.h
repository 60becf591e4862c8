#pragma once

#include <cstdint>

#include "base/host_device.h"

// How CUDA's kernels hold the masks of many graphs as bits:
//
//   std::uint64_t mask[graphs][ceil(n / 64)][ceil(m / 64)][64],   graph = batch * heads + head
//
// A word is one row of a tile of 64 x 64 cells, its bits in the order in which the lanes of an
// m16n8 fragment own the columns: column 8 t + 2 q + e (t = 0 .. 7, q = 0 .. 3, e = 0, 1) is bit
// 16 q + 2 t + e. So lane q of a quad finds its cells of the row in one 16-bit number, at constant
// places. Bits outside n x m are 0.
namespace sbm::kernels::cuda {

/// Rows and columns of a tile.
inline constexpr int kMaskTile = 64;

/// The bit of a tile's column, both 0 to 63.
[[nodiscard]] SBM_HOST_DEVICE constexpr int column_to_bit(int column) {
  return ((column >> 1) & 3) * 16 + (column >> 3) * 2 + (column & 1);
}

/// The column of a bit: the inverse of column_to_bit().
[[nodiscard]] SBM_HOST_DEVICE constexpr int bit_to_column(int bit) {
  return ((bit >> 1) & 7) * 8 + (bit >> 4) * 2 + (bit & 1);
}

/// A word with bit c for column c.
[[nodiscard]] SBM_HOST_DEVICE constexpr std::uint64_t to_natural_order(std::uint64_t word) {
  std::uint64_t natural = 0;
  for (int quad = 0; quad < 4; ++quad) {
    // The eight pairs of a lane go to the eight bytes.
    std::uint64_t pairs = (word >> (16 * quad)) & 0xFFFF;
    pairs = (pairs | pairs << 24) & 0x000000FF000000FF;
    pairs = (pairs | pairs << 12) & 0x000F000F000F000F;
    pairs = (pairs | pairs << 6) & 0x0303030303030303;
    natural |= pairs << (2 * quad);
  }
  return natural;
}

/// The inverse of to_natural_order().
[[nodiscard]] SBM_HOST_DEVICE constexpr std::uint64_t to_mask_order(std::uint64_t natural) {
  std::uint64_t word = 0;
  for (int quad = 0; quad < 4; ++quad) {
    std::uint64_t pairs = (natural >> (2 * quad)) & 0x0303030303030303;
    pairs = (pairs | pairs >> 6) & 0x000F000F000F000F;
    pairs = (pairs | pairs >> 12) & 0x000000FF000000FF;
    pairs = (pairs | pairs >> 24) & 0xFFFF;
    word |= pairs << (16 * quad);
  }
  return word;
}

/// Tiles along `tokens` rows or columns.
[[nodiscard]] SBM_HOST_DEVICE constexpr std::int64_t mask_tiles(std::int64_t tokens) {
  return (tokens + kMaskTile - 1) / kMaskTile;
}

/// Words of the mask of one graph.
[[nodiscard]] SBM_HOST_DEVICE constexpr std::int64_t mask_words(std::int64_t queries,
                                                                std::int64_t keys) {
  return mask_tiles(queries) * mask_tiles(keys) * kMaskTile;
}

/// The place of the word of (row, column) in the mask of its graph.
[[nodiscard]] SBM_HOST_DEVICE constexpr std::int64_t mask_word(std::int64_t keys, std::int64_t row,
                                                               std::int64_t column) {
  return (row / kMaskTile * mask_tiles(keys) + column / kMaskTile) * kMaskTile + row % kMaskTile;
}

}  // namespace sbm::kernels::cuda
