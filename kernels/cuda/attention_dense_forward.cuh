#pragma once

#include <cstdint>
#include <limits>

#include "kernels/cuda/attention.h"
#include "kernels/cuda/attention_dense_bits.cuh"
#include "kernels/cuda/attention_dense_copy.cuh"
#include "kernels/cuda/attention_dense_product.cuh"
#include "kernels/cuda/attention_dropout.cuh"
#include "kernels/cuda/attention_estimator.cuh"
#include "kernels/cuda/device.cuh"

// Forward of the dense-masked path: O and the log-sum-exp of blocks of rows, over all keys.
//
// A block owns kRows rows of a graph, a warp 16 kStrips of them; it goes through the keys in tiles
// of 64, whose K, V and mask bits arrive by cp.async while the tile before is worked on. Scores
// stay in registers: S = Q K^T, the bits decide, online softmax in powers of 2, O += P V with P as
// mma's left operand where it is. A warp skips a tile in which its rows have no edge.
//
// Shared bytes, Q + stages x (K + V + mask), rows padded by 16 bytes:
//   bf16, 128 rows, 2 stages: d = 32 32,768, d = 64 57,344, d = 128 106,496
//   fp32, 64 rows, 2 stages: d = 32 47,104, d = 64 88,064; 1 stage: d = 128 101,888
// Bound aimed at: the tensor pipe, 4 d flop a cell; two strips share each ldmatrix of K and V, so
// that shared memory's 128 bytes a clock stay below it.
namespace sbm::kernels::cuda::dense {

/// The parameters of a call and what follows from them.
struct ForwardCall {
  ForwardParams params;
  float score_scale = 0.0F;  ///< scale / ln 2: scores are exponents of 2
  DropoutRule dropout;
};

template <class E, int HeadDim>
struct ForwardTraits {
  using Element = E;
  static constexpr bool kIsBfloat16 = sizeof(E) == 2;
  static constexpr int kHeadDim = HeadDim;
  static constexpr int kKeys = kMaskTile;  ///< of a tile
  static constexpr int kWarps = 4;
  static constexpr int kThreads = 32 * kWarps;
  static constexpr int kStrips = kIsBfloat16 ? 2 : 1;
  static constexpr int kWarpRows = 16 * kStrips;
  static constexpr int kRows = kWarpRows * kWarps;
  /// Keys that are worked on at once: their scores are registers beside O.
  static constexpr int kChunk = kIsBfloat16 && HeadDim == 32 ? 64 : 32;
  static constexpr int kStages = kIsBfloat16 || HeadDim < 128 ? 2 : 1;
  static constexpr int kStride = row_stride<E>(HeadDim);

  static constexpr int kMaskTiles = kRows / kMaskTile;
  static constexpr int kQueryBytes = kRows * kStride * static_cast<int>(sizeof(E));
  static constexpr int kTileBytes = kKeys * kStride * static_cast<int>(sizeof(E));
  static constexpr int kMaskBytes = kMaskTiles * kMaskTile * 8;
  static constexpr int kStageBytes = 2 * kTileBytes + kMaskBytes;
  static constexpr int kSharedBytes = kQueryBytes + kStages * kStageBytes;
};

/// Over the four lanes that have a row among them.
__device__ __forceinline__ float quad_maximum(float value) {
  value = fmaxf(value, __shfl_xor_sync(0xFFFFFFFFU, value, 1));
  return fmaxf(value, __shfl_xor_sync(0xFFFFFFFFU, value, 2));
}

__device__ __forceinline__ float quad_sum(float value) {
  value += __shfl_xor_sync(0xFFFFFFFFU, value, 1);
  return value + __shfl_xor_sync(0xFFFFFFFFU, value, 2);
}

/// One warp's rows on their way through the keys.
template <class Traits>
struct ForwardRows {
  static constexpr int kStrips = Traits::kStrips;
  static constexpr int kTiles = Traits::kChunk / 8;
  static constexpr int kColumns = Traits::kHeadDim / 8;
  static constexpr float kNothing = -std::numeric_limits<float>::infinity();
  using Element = typename Traits::Element;

  __device__ __forceinline__ void start() {
    clear(output);
#pragma unroll
    for (int s = 0; s < kStrips; ++s) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        maximum[s][h] = kNothing;
        sum[s][h] = 0.0F;
      }
    }
  }

  /// Adds kChunk keys; `bits` are the edges from bit 0 on, and `kept` those that dropout keeps.
  __device__ __forceinline__ void add(const Element* query, const Element* key,
                                      const Element* value, const LaneBits<kStrips>& bits,
                                      const LaneBits<kStrips>& kept, float score_scale,
                                      const Lane& me) {
    float scores[kStrips][kTiles][4];
    clear(scores);
    add_row_products<Traits::kHeadDim, Traits::kStride>(scores, query, key, me);
    Cells<Element, kStrips, kTiles> weights;
#pragma unroll
    for (int s = 0; s < kStrips; ++s) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        float tile_maximum = kNothing;
#pragma unroll
        for (int t = 0; t < kTiles; ++t) {
#pragma unroll
          for (int e = 0; e < 2; ++e) {
            const bool is_edge = (bits.of[s][h] >> (2 * t + e) & 1) != 0;
            float& score = scores[s][t][2 * h + e];
            score = is_edge ? score * score_scale : kNothing;
            tile_maximum = fmaxf(tile_maximum, score);
          }
        }
        const float before = maximum[s][h];
        maximum[s][h] = fmaxf(before, quad_maximum(tile_maximum));
        // A row without an edge so far has no maximum; its weights are 0 below any number.
        const float base = maximum[s][h] == kNothing ? 0.0F : maximum[s][h];
        const float correction = power_of_2<Element>(before - base);
        sum[s][h] *= correction;
        // The first tiles raise most maxima; later ones hardly any.
        if (__any_sync(0xFFFFFFFFU, correction != 1.0F)) {
#pragma unroll
          for (int u = 0; u < kColumns; ++u) {
            output[s][u][2 * h] *= correction;
            output[s][u][2 * h + 1] *= correction;
          }
        }
#pragma unroll
        for (int t = 0; t < kTiles; ++t) {
          float weight[2];
#pragma unroll
          for (int e = 0; e < 2; ++e) {
            weight[e] = power_of_2<Element>(scores[s][t][2 * h + e] - base);
            sum[s][h] += weight[e];
            if ((kept.of[s][h] >> (2 * t + e) & 1) == 0) weight[e] = 0.0F;
          }
          weights.set(s, t, h, weight[0], weight[1]);
        }
      }
    }
    add_cell_products<Traits::kStride>(output, weights, value, Traits::kHeadDim, me);
  }

  float output[kStrips][kColumns][4];
  float maximum[kStrips][2];
  float sum[kStrips][2];  ///< of this lane's cells
};

/// Where a block's tiles lie in shared memory.
template <class Traits>
struct ForwardShared {
  using Element = typename Traits::Element;
  unsigned char* bytes;

  __device__ __forceinline__ Element* query() const { return reinterpret_cast<Element*>(bytes); }
  __device__ __forceinline__ unsigned char* stage(int tile) const {
    return bytes + Traits::kQueryBytes + tile % Traits::kStages * Traits::kStageBytes;
  }
  __device__ __forceinline__ Element* key(int tile) const {
    return reinterpret_cast<Element*>(stage(tile));
  }
  __device__ __forceinline__ Element* value(int tile) const {
    return reinterpret_cast<Element*>(stage(tile) + Traits::kTileBytes);
  }
  __device__ __forceinline__ std::uint64_t* mask(int tile) const {
    return reinterpret_cast<std::uint64_t*>(stage(tile) + 2 * Traits::kTileBytes);
  }
};

template <class Traits>
__device__ __forceinline__ void forward_rows(const ForwardCall& call, std::int64_t graph,
                                             int first_row, const ForwardShared<Traits>& shared) {
  using Element = typename Traits::Element;
  constexpr int kStrips = Traits::kStrips;
  const AttentionShape& shape = call.params.shape;
  const int queries = static_cast<int>(shape.queries);
  const int keys = static_cast<int>(shape.keys);
  const auto query = graph_rows<const Element>(call.params.query, shape.heads, graph);
  const auto key = graph_rows<const Element>(call.params.key, shape.heads, graph);
  const auto value = graph_rows<const Element>(call.params.value, shape.heads, graph);
  const MaskTiles mask = graph_mask(call.params.dense.mask, queries, keys, graph);
  const int tiles = mask.column_tiles;
  const auto copy_tile = [&](int tile) {
    const int first = tile * Traits::kKeys;
    copy_rows<Traits::kKeys, Traits::kStride, Traits::kThreads>(shared.key(tile), key, first, keys,
                                                                Traits::kHeadDim);
    copy_rows<Traits::kKeys, Traits::kStride, Traits::kThreads>(shared.value(tile), value, first,
                                                                keys, Traits::kHeadDim);
    copy_mask<Traits::kMaskTiles, true, Traits::kThreads>(shared.mask(tile), mask,
                                                          first_row / kMaskTile, tile);
  };

  const Lane me = this_lane();
  const int warp_row = static_cast<int>(threadIdx.x) / 32 * Traits::kWarpRows;
  const Element* warp_query = shared.query() + warp_row * Traits::kStride;
  const PhiloxKey dropout_key = call.dropout.threshold > 0 ? shape.dropout_keys[graph] : 0;
  ForwardRows<Traits> rows;
  rows.start();
  copy_rows<Traits::kRows, Traits::kStride, Traits::kThreads>(shared.query(), query, first_row,
                                                              queries, Traits::kHeadDim);
  if (Traits::kStages == 2 && tiles > 0) copy_tile(0);
  ptx::cp_async_commit();
  for (int tile = 0; tile < tiles; ++tile) {
    // With one stage its own tile comes now, with two the next one.
    const int coming = tile + Traits::kStages - 1;
    if (coming < tiles) copy_tile(coming);
    ptx::cp_async_commit();
    ptx::cp_async_wait<Traits::kStages - 1>();
    __syncthreads();
    const auto bits = bits_of_rows<kStrips>(shared.mask(tile), warp_row, me);
    std::uint32_t any = 0;
#pragma unroll
    for (int s = 0; s < kStrips; ++s) any |= bits.of[s][0] | bits.of[s][1];
    if (__any_sync(0xFFFFFFFFU, any != 0)) {
      LaneBits<kStrips> kept = bits;
      if (call.dropout.threshold > 0) {
        kept = kept_of_rows<kStrips>(static_cast<std::uint32_t>(first_row + warp_row),
                                     static_cast<std::uint32_t>(tile), dropout_key,
                                     call.dropout.threshold, me);
      }
#pragma unroll 1
      for (int first = 0; first < Traits::kKeys; first += Traits::kChunk) {
        rows.add(warp_query, shared.key(tile) + first * Traits::kStride,
                 shared.value(tile) + first * Traits::kStride, bits.from(first / 4),
                 kept.from(first / 4), call.score_scale, me);
      }
    }
    __syncthreads();
  }
  // Without a tile there is still the copy of the block's own tokens.
  ptx::cp_async_wait<0>();

  const auto output = graph_rows<Element>(call.params.output, shape.heads, graph);
#pragma unroll
  for (int s = 0; s < kStrips; ++s) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float sum = quad_sum(rows.sum[s][h]);
      const int row = first_row + warp_row + 16 * s + 8 * h + me.group;
      if (row >= queries) continue;
      const float factor = sum > 0.0F ? call.dropout.scale / sum : 0.0F;
      Element* place = output.row(row) + 2 * me.quad;
#pragma unroll
      for (int u = 0; u < Traits::kHeadDim / 8; ++u) {
        store_pair(place + 8 * u, rows.output[s][u][2 * h] * factor,
                   rows.output[s][u][2 * h + 1] * factor);
      }
      if (me.quad == 0) {
        call.params.log_sum_exp[graph * queries + row] =
            sum > 0.0F ? (rows.maximum[s][h] + log2f(sum)) * kLn2
                       : -std::numeric_limits<float>::infinity();
      }
    }
  }
}

/// A fixed grid goes along the graphs of the dense list, block after block of rows.
template <class Traits>
__global__ void __launch_bounds__(Traits::kThreads)
    attention_dense_forward(const ForwardCall call) {
  SBM_DYNAMIC_SHARED(unsigned char, bytes);
  const ForwardShared<Traits> shared{bytes};
  const WorkList& work = call.params.dense.work;
  const std::int64_t blocks = (call.params.shape.queries + Traits::kRows - 1) / Traits::kRows;
  const std::int64_t items = *work.count * blocks;
  for (std::int64_t item = blockIdx.x; item < items; item += gridDim.x) {
    forward_rows<Traits>(call, work.graphs[item / blocks],
                         static_cast<int>(item % blocks) * Traits::kRows, shared);
  }
}

}  // namespace sbm::kernels::cuda::dense
