#pragma once

#include <cuda_bf16.h>

#include <cstdint>
#include <cstring>

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/ptx.cuh"

// The products of the dense-masked path, each by one warp and in one layout of the sums for both
// precisions, that of the m16n8 accumulator: lane 4g + q has of each 16 x 8 tile columns 2q and
// 2q + 1 of row g (elements 0 and 1) and of row g + 8 (elements 2 and 3).
//
// bf16: ldmatrix and mma.m16n8k16. fp32: fused multiply-adds from shared memory; a lane's register
// tile is its 2 rows by 2 columns of every tile. Rows in shared memory are padded by 16 bytes, so
// that the 8 rows of an 8 x 8 matrix (bf16) or of the 8 groups (fp32) lie in different banks.
namespace sbm::kernels::cuda::dense {

using Bfloat16 = __nv_bfloat16;

/// Elements between two rows of a tile of `width` columns in shared memory.
template <class Element>
__host__ __device__ constexpr int row_stride(int width) {
  return width + 16 / static_cast<int>(sizeof(Element));
}

/// Where this thread stands in its warp.
struct Lane {
  int lane = 0;
  int group = 0;  ///< g: row of the tile
  int quad = 0;   ///< q: pair of columns
};

__device__ __forceinline__ Lane this_lane() {
  const int lane = static_cast<int>(threadIdx.x) & 31;
  return {lane, lane >> 2, lane & 3};
}

__device__ __forceinline__ std::uint32_t pack_bf16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  std::uint32_t bits;
  std::memcpy(&bits, &pair, sizeof(bits));
  return bits;
}

/// sums[s] += left rows [16 s, 16 s + 16) times right rows [0, 8 Tiles), transposed. Both are rows
/// of `Depth` elements in shared memory, `Stride` apart.
template <int Depth, int Stride, int Strips, int Tiles>
__device__ __forceinline__ void add_row_products(float (&sums)[Strips][Tiles][4],
                                                 const Bfloat16* left, const Bfloat16* right,
                                                 const Lane& me) {
  static_assert(Tiles % 2 == 0 && Depth % 16 == 0);
  // ldmatrix takes the rows of four 8 x 8 matrices from the lanes, eight each.
  const Bfloat16* left_row = left + (me.lane & 15) * Stride + (me.lane >> 4) * 8;
  const Bfloat16* right_row =
      right + ((me.lane >> 4) * 8 + (me.lane & 7)) * Stride + ((me.lane >> 3) & 1) * 8;
#pragma unroll
  for (int depth = 0; depth < Depth; depth += 16) {
    std::uint32_t a[Strips][4];
#pragma unroll
    for (int s = 0; s < Strips; ++s) ptx::ldmatrix_x4(a[s], left_row + s * 16 * Stride + depth);
#pragma unroll
    for (int t = 0; t < Tiles; t += 2) {
      std::uint32_t pair[4];
      ptx::ldmatrix_x4(pair, right_row + t * 8 * Stride + depth);
      const std::uint32_t b0[2] = {pair[0], pair[1]};
      const std::uint32_t b1[2] = {pair[2], pair[3]};
#pragma unroll
      for (int s = 0; s < Strips; ++s) {
        ptx::mma_m16n8k16_bf16(sums[s][t], a[s], b0);
        ptx::mma_m16n8k16_bf16(sums[s][t + 1], a[s], b1);
      }
    }
  }
}

template <int Depth, int Stride, int Strips, int Tiles>
__device__ __forceinline__ void add_row_products(float (&sums)[Strips][Tiles][4], const float* left,
                                                 const float* right, const Lane& me) {
  static_assert(Depth % 4 == 0);
#pragma unroll 1
  for (int depth = 0; depth < Depth; depth += 4) {
    float4 a[Strips][2];
#pragma unroll
    for (int s = 0; s < Strips; ++s) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const float* row = left + (16 * s + 8 * h + me.group) * Stride + depth;
        a[s][h] = *reinterpret_cast<const float4*>(row);
      }
    }
#pragma unroll
    for (int t = 0; t < Tiles; ++t) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const float* row = right + (8 * t + 2 * me.quad + e) * Stride + depth;
        const float4 b = *reinterpret_cast<const float4*>(row);
#pragma unroll
        for (int s = 0; s < Strips; ++s) {
#pragma unroll
          for (int h = 0; h < 2; ++h) {
            float& sum = sums[s][t][2 * h + e];
            sum = fmaf(a[s][h].x, b.x, sum);
            sum = fmaf(a[s][h].y, b.y, sum);
            sum = fmaf(a[s][h].z, b.z, sum);
            sum = fmaf(a[s][h].w, b.w, sum);
          }
        }
      }
    }
  }
}

/// Cells of `Strips` strips of 16 rows and `Tiles` tiles of 8 columns, ready to be the left factor
/// of add_cell_products: in bf16 two of a row share a word, and the accumulator's layout is that
/// of mma's left operand.
template <class Element, int Strips, int Tiles>
struct Cells;

template <int Strips, int Tiles>
struct Cells<Bfloat16, Strips, Tiles> {
  __device__ __forceinline__ void set(int s, int t, int h, float low, float high) {
    words[s][t][h] = pack_bf16(low, high);
  }
  std::uint32_t words[Strips][Tiles][2];
};

template <int Strips, int Tiles>
struct Cells<float, Strips, Tiles> {
  /// Elements 2h and 2h + 1 of tile t.
  __device__ __forceinline__ void set(int s, int t, int h, float low, float high) {
    values[s][t][2 * h] = low;
    values[s][t][2 * h + 1] = high;
  }
  float values[Strips][Tiles][4];
};

/// sums[s] += cells[s] (16 x 8 Tiles) times right rows [0, 8 Tiles): the first `width` of their
/// columns, a multiple of 16, at most 8 Columns. Rows are `Stride` apart.
template <int Stride, int Strips, int Tiles, int Columns>
__device__ __forceinline__ void add_cell_products(float (&sums)[Strips][Columns][4],
                                                  const Cells<Bfloat16, Strips, Tiles>& cells,
                                                  const Bfloat16* right, int width,
                                                  const Lane& me) {
  static_assert(Tiles % 2 == 0 && Columns % 2 == 0);
  const Bfloat16* right_row = right + (me.lane & 15) * Stride + (me.lane >> 4) * 8;
#pragma unroll
  for (int t = 0; t < Tiles; t += 2) {
#pragma unroll
    for (int u = 0; u < Columns; u += 2) {
      if (8 * u >= width) break;
      std::uint32_t pair[4];
      ptx::ldmatrix_x4_trans(pair, right_row + t * 8 * Stride + u * 8);
      const std::uint32_t b0[2] = {pair[0], pair[1]};
      const std::uint32_t b1[2] = {pair[2], pair[3]};
#pragma unroll
      for (int s = 0; s < Strips; ++s) {
        const std::uint32_t a[4] = {cells.words[s][t][0], cells.words[s][t][1],
                                    cells.words[s][t + 1][0], cells.words[s][t + 1][1]};
        ptx::mma_m16n8k16_bf16(sums[s][u], a, b0);
        ptx::mma_m16n8k16_bf16(sums[s][u + 1], a, b1);
      }
    }
  }
}

template <int Stride, int Strips, int Tiles, int Columns>
__device__ __forceinline__ void add_cell_products(float (&sums)[Strips][Columns][4],
                                                  const Cells<float, Strips, Tiles>& cells,
                                                  const float* right, int width, const Lane& me) {
#pragma unroll
  for (int t = 0; t < Tiles; ++t) {
    // The quad's lanes have a row's cells among them, and each needs all of them.
#pragma unroll 1
    for (int owner = 0; owner < 4; ++owner) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        float a[Strips][2];
#pragma unroll
        for (int s = 0; s < Strips; ++s) {
#pragma unroll
          for (int h = 0; h < 2; ++h) {
            a[s][h] =
                __shfl_sync(0xFFFFFFFFU, cells.values[s][t][2 * h + e], (me.lane & ~3) | owner);
          }
        }
        const float* row = right + (8 * t + 2 * owner + e) * Stride + 2 * me.quad;
#pragma unroll
        for (int u = 0; u < Columns; ++u) {
          if (8 * u >= width) break;
          const float2 b = *reinterpret_cast<const float2*>(row + 8 * u);
#pragma unroll
          for (int s = 0; s < Strips; ++s) {
#pragma unroll
            for (int h = 0; h < 2; ++h) {
              sums[s][u][2 * h] = fmaf(a[s][h], b.x, sums[s][u][2 * h]);
              sums[s][u][2 * h + 1] = fmaf(a[s][h], b.y, sums[s][u][2 * h + 1]);
            }
          }
        }
      }
    }
  }
}

template <int Strips, int Tiles>
__device__ __forceinline__ void clear(float (&sums)[Strips][Tiles][4]) {
#pragma unroll
  for (int s = 0; s < Strips; ++s) {
#pragma unroll
    for (int t = 0; t < Tiles; ++t) {
#pragma unroll
      for (int x = 0; x < 4; ++x) sums[s][t][x] = 0.0F;
    }
  }
}

/// 2^x: one instruction where the inputs have 8 bits, the library's function where 24.
template <class Element>
__device__ __forceinline__ float power_of_2(float x) {
  if constexpr (sizeof(Element) == 2) {
    return ptx::exp2_approx(x);
  } else {
    return exp2f(x);
  }
}

template <class Element>
__device__ __forceinline__ void store_pair(Element* place, float low, float high) {
  if constexpr (sizeof(Element) == 2) {
    *reinterpret_cast<__nv_bfloat162*>(place) = __floats2bfloat162_rn(low, high);
  } else {
    *reinterpret_cast<float2*>(place) = make_float2(low, high);
  }
}

}  // namespace sbm::kernels::cuda::dense
