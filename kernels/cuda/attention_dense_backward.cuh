#pragma once

#include <cstdint>

#include "kernels/cuda/attention_dense_backward_traits.cuh"
#include "kernels/cuda/attention_dense_backward_warp.cuh"
#include "kernels/cuda/device.cuh"

// Backward of the dense-masked path in two passes, one source: a block owns rows (dQ, T = G Khat)
// or keys (dK, dV, R = G^T Qhat), each warp 16 or 32 tokens, and goes through the other side in
// tiles of 64 that arrive by cp.async. For each chunk of 16 tokens of the tile a warp computes
// S = Q K^T and dP = dO V^T (seen from the keys: S^T = K Q^T, dP^T = V dO^T), from them the
// weights, dL/ds and G in registers, where they are the left factors of the products that follow.
// Each output element is the sum of one lane in the order of the tiles: no atomics.
//
// Shared bytes (own two tiles + stages x (other two, memberships, mask, probes, row values)) of the
// instance that needs most, by d and the clusters of a launch:
//   bf16, 128 own tokens, 2 stages: 32, 32 56,320   64, 32 89,088    128, 32 154,624
//                                   32, 128 80,896  64, 128 113,664  128, 64 162,816
//   fp32, 64 own tokens, 2 stages:  32, 64 93,184   64, 64 142,336;  1 stage: 128, 32 145,920
// Bound aimed at: the tensor pipe, (6 d + 2 k) flop a cell for rows, (8 d + 2 k) for keys.
namespace sbm::kernels::cuda::dense {

template <class Traits>
__device__ __forceinline__ void backward_block(const BackwardCall& call, std::int64_t graph,
                                               int first, const BackwardShared<Traits>& shared) {
  using Element = typename Traits::Element;
  constexpr int kStride = Traits::kStride;
  constexpr int kThreads = Traits::kThreads;
  const BackwardParams& params = call.params;
  const AttentionShape& shape = params.shape;
  const int queries = static_cast<int>(shape.queries);
  const int keys = static_cast<int>(shape.keys);
  const int own_count = Traits::kOwnsRows ? queries : keys;
  const int other_count = Traits::kOwnsRows ? keys : queries;
  const DeviceRows<const Element> query[2] = {
      graph_rows<const Element>(params.query, shape.heads, graph),
      graph_rows<const Element>(params.grad_output, shape.heads, graph)};
  const DeviceRows<const Element> key[2] = {
      graph_rows<const Element>(params.key, shape.heads, graph),
      graph_rows<const Element>(params.value, shape.heads, graph)};
  const std::int64_t clusters = padded_clusters_of(shape.clusters);
  const auto* memberships = static_cast<const Element*>(
      Traits::kOwnsRows ? call.workspace.key_membership : call.workspace.query_membership);
  const DeviceRows<const Element> membership = {
      memberships + graph * other_count * clusters + call.first_cluster, clusters};
  const MaskTiles mask = graph_mask(params.dense.mask, queries, keys, graph);
  const MaskTiles probes = graph_mask(params.dense.probe_mask, queries, keys, graph);
  const RowValues* row_values =
      call.workspace.row_values + graph * mask_tiles(shape.queries) * kMaskTile;
  const int width = BackwardWarp<Traits>::cluster_width(call);
  const int own_tile = first / kMaskTile;

  const auto copy_tile = [&](int tile) {
    const int other = tile * Traits::kTile;
    for (int which = 0; which < 2; ++which) {
      copy_rows<Traits::kTile, kStride, kThreads>(shared.other(tile, which),
                                                  Traits::kOwnsRows ? key[which] : query[which],
                                                  other, other_count, Traits::kHeadDim);
    }
    copy_rows<Traits::kTile, Traits::kClusterStride, kThreads>(shared.membership(tile), membership,
                                                               other, other_count, width);
    const int row = Traits::kOwnsRows ? own_tile : tile;
    const int column = Traits::kOwnsRows ? tile : own_tile;
    copy_mask<Traits::kMaskTiles, Traits::kOwnsRows, kThreads>(shared.mask(tile), mask, row,
                                                               column);
    if (Traits::kIsGeneral && probes.words != nullptr) {
      copy_mask<Traits::kMaskTiles, Traits::kOwnsRows, kThreads>(shared.probes(tile), probes, row,
                                                                 column);
    }
    if constexpr (!Traits::kOwnsRows) {
      const int pair = static_cast<int>(threadIdx.x);
      if (pair < Traits::kTile / 2) {
        ptx::cp_async_16(shared.row_values(tile) + 2 * pair, row_values + other + 2 * pair, true);
      }
    }
  };

  for (int which = 0; which < 2; ++which) {
    copy_rows<Traits::kOwn, kStride, kThreads>(shared.own(which),
                                               Traits::kOwnsRows ? query[which] : key[which], first,
                                               own_count, Traits::kHeadDim);
  }
  const int tiles = static_cast<int>(mask_tiles(other_count));
  if (Traits::kStages == 2 && tiles > 0) copy_tile(0);
  ptx::cp_async_commit();
  BackwardWarp<Traits> warp(call, graph, first,
                            static_cast<int>(threadIdx.x) / 32 * Traits::kWarpTokens);
  for (int tile = 0; tile < tiles; ++tile) {
    // With one stage its own tile comes now, with two the next one.
    const int coming = tile + Traits::kStages - 1;
    if (coming < tiles) copy_tile(coming);
    ptx::cp_async_commit();
    ptx::cp_async_wait<Traits::kStages - 1>();
    __syncthreads();
    warp.add(shared, tile);
    __syncthreads();
  }
  // Without a tile there is still the copy of the block's own tokens.
  ptx::cp_async_wait<0>();
  warp.store();
}

/// A fixed grid goes along the graphs of the dense list, block after block of own tokens.
template <class Traits>
__global__ void __launch_bounds__(Traits::kThreads, 1)
    attention_dense_backward(const BackwardCall call) {
  SBM_DYNAMIC_SHARED(unsigned char, bytes);
  const BackwardShared<Traits> shared{bytes};
  const WorkList& work = call.params.dense.work;
  const AttentionShape& shape = call.params.shape;
  const std::int64_t own = Traits::kOwnsRows ? shape.queries : shape.keys;
  const std::int64_t blocks = (own + Traits::kOwn - 1) / Traits::kOwn;
  const std::int64_t items = *work.count * blocks;
  for (std::int64_t item = blockIdx.x; item < items; item += gridDim.x) {
    backward_block<Traits>(call, work.graphs[item / blocks],
                           static_cast<int>(item % blocks) * Traits::kOwn, shared);
  }
}

}  // namespace sbm::kernels::cuda::dense
