#pragma once

#include <cstdint>

#include "kernels/cuda/attention_dense_backward_traits.cuh"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/sampling_operands.h"

// What the backward's passes read beside the inputs, made once a call: memberships in whole 16
// bytes of the products' precision, the numbers of each row side by side, which rows have only one
// edge, and which graphs may have a cell with P + delta >= 1. Linear in the tokens, but for the
// bits of the mask, which only TRAPEZOID's count of edges reads.
namespace sbm::kernels::cuda::dense {

inline constexpr int kPrepareThreads = 256;
/// Tokens of a block of attention_dense_prepare.
inline constexpr int kPrepareTokens = kMaskTile;

template <class Element>
__device__ __forceinline__ Element to_element(float value) {
  if constexpr (sizeof(Element) == 2) {
    return __float2bfloat16_rn(value);
  } else {
    return value;
  }
}

/// Copies the memberships of tokens [first, first + kPrepareTokens) of a graph.
template <class Element>
__device__ __forceinline__ void pack_memberships(const float* memberships, Element* packed,
                                                 int clusters, int first, int count) {
  const int padded = static_cast<int>(padded_clusters_of(clusters));
  const int tokens = count - first < kPrepareTokens ? count - first : kPrepareTokens;
  for (int i = static_cast<int>(threadIdx.x); i < tokens * padded; i += kPrepareThreads) {
    const std::int64_t token = first + i / padded;
    const int cluster = i % padded;
    const float value = cluster < clusters ? memberships[token * clusters + cluster] : 0.0F;
    packed[token * padded + cluster] = to_element<Element>(value);
  }
}

/// A warp for each row: whether it has exactly one edge.
__device__ __forceinline__ void find_only_edges(const MaskTiles& mask, std::uint8_t* only_edge,
                                                int first, int count) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::uint64_t* tiles =
      mask.words + std::int64_t{first / kMaskTile} * mask.column_tiles * kMaskTile;
  for (int i = static_cast<int>(threadIdx.x) / 32; i < kPrepareTokens; i += kPrepareThreads / 32) {
    if (first + i >= count) return;
    unsigned edges = 0;
    for (int tile = lane; tile < mask.column_tiles; tile += 32) {
      edges += static_cast<unsigned>(__popcll(tiles[std::int64_t{tile} * kMaskTile + i]));
    }
    edges = __reduce_add_sync(0xFFFFFFFFU, edges);
    if (lane == 0) only_edge[first + i] = edges == 1 ? 1 : 0;
  }
}

/// Blocks of kPrepareThreads; a fixed grid goes along the dense list, kPrepareTokens tokens of both
/// sides at a time.
template <class Element>
__global__ void __launch_bounds__(kPrepareThreads)
    attention_dense_prepare(const BackwardCall call) {
  const BackwardParams& params = call.params;
  const AttentionShape& shape = params.shape;
  const Workspace& workspace = call.workspace;
  const int queries = static_cast<int>(shape.queries);
  const int keys = static_cast<int>(shape.keys);
  const int clusters = static_cast<int>(shape.clusters);
  const std::int64_t padded = padded_clusters_of(clusters);
  const std::int64_t row_tiles = mask_tiles(queries);
  const std::int64_t blocks = mask_tiles(queries > keys ? queries : keys);
  const std::int64_t items = *params.dense.work.count * blocks;
  for (std::int64_t item = blockIdx.x; item < items; item += gridDim.x) {
    const std::int64_t graph = params.dense.work.graphs[item / blocks];
    const int first = static_cast<int>(item % blocks) * kPrepareTokens;
    pack_memberships(params.query_membership + graph * queries * clusters,
                     static_cast<Element*>(workspace.query_membership) + graph * queries * padded,
                     clusters, first, queries);
    pack_memberships(params.key_membership + graph * keys * clusters,
                     static_cast<Element*>(workspace.key_membership) + graph * keys * padded,
                     clusters, first, keys);
    if (first >= queries) continue;
    if (const int i = static_cast<int>(threadIdx.x); i < kPrepareTokens) {
      RowValues values;
      if (first + i < queries) {
        const std::int64_t row = graph * queries + first + i;
        values = {params.log_sum_exp[row] * kLog2E, params.delta[row]};
      }
      workspace.row_values[graph * row_tiles * kMaskTile + first + i] = values;
    }
    if (params.estimator.estimator == Estimator::kTrapezoid) {
      find_only_edges(graph_mask(params.dense.mask, queries, keys, graph),
                      workspace.only_edge + graph * queries, first, queries);
    }
  }
}

/// The entry's share of a probability, as a factor of 2^-exponent.
__device__ __forceinline__ float scaled_entry(const EntryBytes& unit, int index, int exponent) {
  return ldexpf(static_cast<float>(unit_entry(unit, index)), -exponent);
}

/// A block for each graph of the dense list: may_saturate, by a bound that no P of the graph
/// exceeds: the largest row of W times the largest key of each cluster. Blocks of kPrepareThreads.
static __global__ void __launch_bounds__(kPrepareThreads)
    attention_dense_find_saturation(const BackwardCall call) {
  constexpr int kMostClusters = 256;
  // Far more than the rounding of these sums and of the sampler's integers.
  constexpr float kMargin = 0.001F;
  SBM_SHARED_ARRAY(unsigned, largest, kMostClusters);
  SBM_SHARED_ARRAY(unsigned, is_reached, 1);
  const BackwardParams& params = call.params;
  const CellLaw& law = params.dense.law;
  const int queries = static_cast<int>(params.shape.queries);
  const int keys = static_cast<int>(params.shape.keys);
  const int units = entry_units(params.shape.clusters);
  const int thread = static_cast<int>(threadIdx.x);
  for (std::int64_t item = blockIdx.x; item < *params.dense.work.count; item += gridDim.x) {
    const std::int64_t graph = params.dense.work.graphs[item];
    for (int i = thread; i < kMostClusters; i += kPrepareThreads) largest[i] = 0;
    if (thread == 0) is_reached[0] = 0;
    __syncthreads();
    // Threads share the keys; each stays with one unit, so that a warp reads what lies together.
    const int sharing = kPrepareThreads / units;
    if (const int unit = thread % units; thread / units < sharing) {
      float mine[kUnitEntries] = {};
      for (int key = thread / units; key < keys; key += sharing) {
        const EntryBytes entry = law.key_entries[(graph * keys + key) * units + unit];
        const int exponent = law.key_exponents[graph * keys + key];
#pragma unroll
        for (int i = 0; i < kUnitEntries; ++i) {
          mine[i] = fmaxf(mine[i], scaled_entry(entry, i, exponent));
        }
      }
      // The bits of floats that are not negative are in the order of their values.
#pragma unroll
      for (int i = 0; i < kUnitEntries; ++i) {
        atomicMax(&largest[unit * kUnitEntries + i], __float_as_uint(mine[i]));
      }
    }
    __syncthreads();
    bool reaches = false;
    for (int row = thread; row < queries; row += kPrepareThreads) {
      const EntryBytes* weights = law.weights + (graph * queries + row) * units;
      float bound = 0.0F;
      for (int unit = 0; unit < units; ++unit) {
        const EntryBytes weight = weights[unit];
#pragma unroll
        for (int i = 0; i < kUnitEntries; ++i) {
          bound += scaled_entry(weight, i, 0) * __uint_as_float(largest[unit * kUnitEntries + i]);
        }
      }
      // P = acc 2^-(32 + R + ek), and `largest` has the part of ek.
      bound = ldexpf(bound, -(32 + law.row_exponents[graph * queries + row]));
      reaches = reaches || bound + static_cast<float>(law.exploration) >= 1.0F - kMargin;
    }
    if (reaches) atomicOr(&is_reached[0], 1U);
    __syncthreads();
    if (thread == 0) call.workspace.may_saturate[graph] = is_reached[0];
    __syncthreads();
  }
}

}  // namespace sbm::kernels::cuda::dense
