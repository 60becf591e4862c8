#pragma once

#include <cstdint>

#include "kernels/cuda/attention_dense_product.cuh"
#include "kernels/cuda/attention_dropout.cuh"
#include "kernels/cuda/mask_layout.h"

// What a lane knows of its cells, a bit each. A warp owns strips of 16 tokens of one side and meets
// tiles of 64 of the other; lane 4g + q has tokens 8h + g of each strip (h = 0, 1) and of the tile
// those at 8t + 2q + e (t = 0 .. 7, e = 0, 1): bit 2t + e, as in the mask's own layout.
namespace sbm::kernels::cuda::dense {

/// The bits of a lane's 16 cells for each of its own tokens.
template <int Strips>
struct LaneBits {
  /// The bits from `bit` on.
  [[nodiscard]] __device__ __forceinline__ LaneBits from(int bit) const {
    LaneBits rest;
#pragma unroll
    for (int s = 0; s < Strips; ++s) {
#pragma unroll
      for (int h = 0; h < 2; ++h) rest.of[s][h] = of[s][h] >> bit;
    }
    return rest;
  }

  std::uint32_t of[Strips][2];
};

/// The mask words of rows and columns of a shared tile are read as the 16 bits of a quad's lane.
__device__ __forceinline__ const std::uint16_t* quad_words(const std::uint64_t* tile) {
  return reinterpret_cast<const std::uint16_t*>(tile);
}

/// The warp's own tokens are rows: `tiles` are one below the other, `first_row` the warp's first.
template <int Strips>
__device__ __forceinline__ LaneBits<Strips> bits_of_rows(const std::uint64_t* tiles, int first_row,
                                                         const Lane& me) {
  LaneBits<Strips> bits;
  const std::uint16_t* words = quad_words(tiles) + (first_row + me.group) * 4 + me.quad;
#pragma unroll
  for (int s = 0; s < Strips; ++s) {
#pragma unroll
    for (int h = 0; h < 2; ++h) bits.of[s][h] = words[(16 * s + 8 * h) * 4];
  }
  return bits;
}

/// The warp's own tokens are columns: `tiles` are side by side, `first_column` the warp's first.
template <int Strips>
__device__ __forceinline__ LaneBits<Strips> bits_of_columns(const std::uint64_t* tiles,
                                                            int first_column, const Lane& me) {
  LaneBits<Strips> bits;
#pragma unroll
  for (int s = 0; s < Strips; ++s) {
    const int column = first_column + 16 * s;
    const std::uint16_t* words =
        quad_words(tiles + column / kMaskTile * kMaskTile) + 2 * me.quad * 4 + (me.group >> 1);
    // Of the 16 bits at hand, the pair of columns 8 T + 2 (g / 2) has the bits 2 T and 2 T + 1.
    const int bit = column % kMaskTile / 8 * 2 + (me.group & 1);
    bits.of[s][0] = bits.of[s][1] = 0;
#pragma unroll
    for (int t = 0; t < 8; ++t) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const std::uint32_t word = std::uint32_t{words[(8 * t + e) * 4]} >> bit;
        bits.of[s][0] |= (word & 1) << (2 * t + e);
        bits.of[s][1] |= (word >> 2 & 1) << (2 * t + e);
      }
    }
  }
  return bits;
}

/// Which of eight neighbouring columns of a row keep their weights, one bit each.
__device__ __forceinline__ std::uint32_t kept_of_group(std::uint32_t row, std::uint32_t group,
                                                       PhiloxKey key, std::uint32_t threshold) {
  const PhiloxBlock block = dropout_block(key, row, group);
  std::uint32_t kept = 0;
#pragma unroll
  for (std::uint32_t c = 0; c < 8; ++c) {
    kept |= static_cast<std::uint32_t>(attention_dropout_keeps(block, c, threshold)) << c;
  }
  return kept;
}

/// Which of the lane's cells keep their weights, where the warp's own tokens are rows from `row` on
/// and `tile` is the tile of columns. A call of Philox serves eight columns of a row, a quad's; so
/// its lanes draw two of a row's eight calls each and hand them round.
template <int Strips>
__device__ __forceinline__ LaneBits<Strips> kept_of_rows(std::uint32_t row, std::uint32_t tile,
                                                         PhiloxKey key, std::uint32_t threshold,
                                                         const Lane& me) {
  LaneBits<Strips> kept;
#pragma unroll
  for (int s = 0; s < Strips; ++s) {
    std::uint32_t mine = 0;  // byte 2h + i: call q + 4i of row 8h + g
#pragma unroll
    for (std::uint32_t part = 0; part < 4; ++part) {
      const std::uint32_t call = 8 * tile + static_cast<std::uint32_t>(me.quad) + 4 * (part & 1);
      const std::uint32_t token =
          row + static_cast<std::uint32_t>(16 * s + me.group) + 8 * (part >> 1);
      mine |= kept_of_group(token, call, key, threshold) << (8 * part);
    }
    kept.of[s][0] = kept.of[s][1] = 0;
#pragma unroll
    for (int t = 0; t < 4; ++t) {
      const std::uint32_t theirs = __shfl_sync(0xFFFFFFFFU, mine, (me.lane & ~3) | t);
      const std::uint32_t pairs = theirs >> (2 * me.quad) & 0x03030303U;
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const std::uint32_t both = pairs >> (16 * h);
        kept.of[s][h] |= (both & 3) << (2 * t) | (both >> 8 & 3) << (2 * t + 8);
      }
    }
  }
  return kept;
}

/// The same where the warp's own tokens are columns from `column` on and `tile` is the tile of
/// rows. A call serves the eight lanes of other groups: each lane draws for rows 2q and 2q + 1 of
/// its own group's eight.
template <int Strips>
__device__ __forceinline__ LaneBits<Strips> kept_of_columns(std::uint32_t column,
                                                            std::uint32_t tile, PhiloxKey key,
                                                            std::uint32_t threshold,
                                                            const Lane& me) {
  LaneBits<Strips> kept;
#pragma unroll
  for (int s = 0; s < Strips; ++s) {
    std::uint32_t mine = 0;  // byte 2e + h: row 8g + 2q + e, columns 8h .. 8h + 7
#pragma unroll
    for (std::uint32_t part = 0; part < 4; ++part) {
      const std::uint32_t token =
          64 * tile + static_cast<std::uint32_t>(8 * me.group + 2 * me.quad) + (part >> 1);
      const std::uint32_t group = column / 8 + static_cast<std::uint32_t>(2 * s) + (part & 1);
      mine |= kept_of_group(token, group, key, threshold) << (8 * part);
    }
    kept.of[s][0] = kept.of[s][1] = 0;
#pragma unroll
    for (int t = 0; t < 8; ++t) {
      const std::uint32_t theirs = __shfl_sync(0xFFFFFFFFU, mine, 4 * t + me.quad) >> me.group;
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        kept.of[s][0] |= (theirs >> (16 * e) & 1) << (2 * t + e);
        kept.of[s][1] |= (theirs >> (16 * e + 8) & 1) << (2 * t + e);
      }
    }
  }
  return kept;
}

}  // namespace sbm::kernels::cuda::dense
