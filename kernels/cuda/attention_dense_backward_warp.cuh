#pragma once

#include <cstdint>

#include "kernels/cuda/attention_dense_backward_traits.cuh"
#include "kernels/cuda/attention_dense_warp_cells.cuh"

// The sums of one warp in the dense-masked backward, and what each cell adds to them.
namespace sbm::kernels::cuda::dense {

/// One warp of a pass: its tokens of one graph.
template <class Traits>
class BackwardWarp {
 public:
  using Element = typename Traits::Element;
  static constexpr int kStrips = Traits::kStrips;
  static constexpr int kTiles = Traits::kChunk / 8;
  using Sums = float[kStrips][Traits::kHeadDim / 8][4];
  using Chunk = Cells<Element, kStrips, kTiles>;

  /// `first` is the block's first own token, `warp_first` the warp's place in the block.
  __device__ __forceinline__ BackwardWarp(const BackwardCall& call, std::int64_t graph, int first,
                                          int warp_first)
      : mine_(call, graph, first, warp_first),
        constants_(call.estimator.of_head(graph % call.params.shape.heads)) {
    if constexpr (Traits::kOwnsRows) {
      const RowValues* values =
          call.workspace.row_values + graph * mask_tiles(mine_.queries) * kMaskTile;
#pragma unroll
      for (int s = 0; s < kStrips; ++s) {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const int row = mine_.own_token(s, h);
          own_values_[s][h] = row < mine_.queries ? values[row] : RowValues{};
          own_only_edge_[s][h] =
              mine_.is_trapezoid && row < mine_.queries && mine_.only_edge()[row] != 0;
        }
      }
    }
    clear(grad_);
    clear(value_);
    clear(product_);
  }

  /// Adds a tile of the other side, from `other_first` on.
  __device__ __forceinline__ void add(const BackwardShared<Traits>& shared, int tile) {
    const int other_first = tile * Traits::kTile;
    const TileBits<kStrips> bits = mine_.tile_bits(shared, tile, other_first);
    std::uint32_t any = 0;
#pragma unroll
    for (int s = 0; s < kStrips; ++s) {
#pragma unroll
      for (int h = 0; h < 2; ++h) any |= bits.edges.of[s][h] | bits.counted.of[s][h];
    }
    if (!__any_sync(0xFFFFFFFFU, any != 0)) return;
    const Element* own[2] = {shared.own(0) + mine_.warp_first * Traits::kStride,
                             shared.own(1) + mine_.warp_first * Traits::kStride};
#pragma unroll 1
    for (int begin = 0; begin < Traits::kTile; begin += Traits::kChunk) {
      const Element* other = shared.other(tile, 0) + begin * Traits::kStride;
      const Element* other_value = shared.other(tile, 1) + begin * Traits::kStride;
      float probabilities[kStrips][kTiles][4];
      if constexpr (Traits::kIsGeneral)
        mine_.find_probabilities(begin, other_first, bits, probabilities);
      float scores[kStrips][kTiles][4];
      float value_gains[kStrips][kTiles][4];
      clear(scores);
      clear(value_gains);
      add_row_products<Traits::kHeadDim, Traits::kStride>(scores, own[0], other, mine_.me);
      add_row_products<Traits::kHeadDim, Traits::kStride>(value_gains, own[1], other_value,
                                                          mine_.me);
      Chunk grad_scores;
      Chunk weights;
      Chunk estimates;
      const RowValues* row_values = shared.row_values(tile) + begin + 2 * mine_.me.quad;
#pragma unroll
      for (int s = 0; s < kStrips; ++s) {
#pragma unroll
        for (int t = 0; t < kTiles; ++t) {
          cells(scores[s][t], value_gains[s][t], probabilities[s][t], s, t, begin, bits,
                row_values + 8 * t, grad_scores, weights, estimates);
        }
      }
      if (mine_.call.writes_gradients) {
        add_cell_products<Traits::kStride>(grad_, grad_scores, other, Traits::kHeadDim, mine_.me);
        if constexpr (!Traits::kOwnsRows) {
          add_cell_products<Traits::kStride>(value_, weights, other_value, Traits::kHeadDim,
                                             mine_.me);
        }
      }
      add_cell_products<Traits::kClusterStride>(
          product_, estimates, shared.membership(tile) + begin * Traits::kClusterStride,
          cluster_width(mine_.call), mine_.me);
    }
  }

  /// Clusters of this launch, in whole steps of 16.
  [[nodiscard]] static __device__ __forceinline__ int cluster_width(const BackwardCall& call) {
    const int rest = static_cast<int>(call.params.shape.clusters) - call.first_cluster;
    constexpr int kStep = static_cast<int>(kClusterStep);
    return rest < Traits::kClusters ? (rest + kStep - 1) / kStep * kStep : Traits::kClusters;
  }

  __device__ __forceinline__ void store() const {
    const BackwardParams& params = mine_.call.params;
    const AttentionShape& shape = params.shape;
    const auto grad = graph_rows<Element>(Traits::kOwnsRows ? params.grad_query : params.grad_key,
                                          shape.heads, mine_.graph);
    const auto grad_value = graph_rows<Element>(params.grad_value, shape.heads, mine_.graph);
    const int tokens = Traits::kOwnsRows ? mine_.queries : mine_.keys;
    const int clusters = static_cast<int>(shape.clusters);
    float* const products = (Traits::kOwnsRows ? params.query_product : params.key_product) +
                            mine_.graph * tokens * clusters;
#pragma unroll
    for (int s = 0; s < kStrips; ++s) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int token = mine_.own_token(s, h);
        if (token >= tokens) continue;
        if (mine_.call.writes_gradients) {
#pragma unroll
          for (int u = 0; u < Traits::kHeadDim / 8; ++u) {
            const int column = 8 * u + 2 * mine_.me.quad;
            store_pair(grad.row(token) + column, grad_[s][u][2 * h] * shape.scale,
                       grad_[s][u][2 * h + 1] * shape.scale);
            if constexpr (!Traits::kOwnsRows) {
              store_pair(grad_value.row(token) + column, value_[s][u][2 * h],
                         value_[s][u][2 * h + 1]);
            }
          }
        }
#pragma unroll
        for (int u = 0; u < Traits::kClusters / 8; ++u) {
#pragma unroll
          for (int e = 0; e < 2; ++e) {
            const int cluster = mine_.call.first_cluster + 8 * u + 2 * mine_.me.quad + e;
            if (cluster < clusters) {
              products[std::int64_t{token} * clusters + cluster] = product_[s][u][2 * h + e];
            }
          }
        }
      }
    }
  }

 private:
  /// G of a cell, with its gate.
  [[nodiscard]] __device__ __forceinline__ float estimate_of(const EdgeValues& cell, bool is_edge,
                                                             float log_sum_exp) const {
    if constexpr (Traits::kForm == Form::kPaper) {
      return edge_estimate<Estimator::kPaper>(constants_, cell);
    } else if constexpr (Traits::kForm == Form::kReference) {
      return edge_estimate<Estimator::kReference>(constants_, cell);
    } else {
      float estimate = 0.0F;
      switch (mine_.call.params.estimator.estimator) {
        case Estimator::kPaper:
          estimate = edge_estimate<Estimator::kPaper>(constants_, cell);
          break;
        case Estimator::kReference:
          estimate = edge_estimate<Estimator::kReference>(constants_, cell);
          break;
        case Estimator::kTrapezoid:
          estimate = is_edge ? edge_estimate<Estimator::kTrapezoid>(constants_, cell)
                             : probe_estimate(constants_, cell.score, log_sum_exp * kLn2, cell.gain,
                                              cell.probability);
          break;
      }
      return estimate * gate_of(mine_.call.params.dense.law.law, cell.probability);
    }
  }

  /// What the lane's four cells of a 16 x 8 tile pass on.
  __device__ __forceinline__ void cells(const float (&scores)[4], const float (&value_gains)[4],
                                        const float (&probabilities)[4], int s, int t, int begin,
                                        const TileBits<kStrips>& bits, const RowValues* row_values,
                                        Chunk& grad_scores, Chunk& weights,
                                        Chunk& estimates) const {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float grad_score[2];
      float weight[2];
      float estimate[2];
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int bit = begin / 4 + 2 * t + e;
        const bool is_edge = (bits.edges.of[s][h] >> bit & 1) != 0;
        const bool is_counted = (bits.counted.of[s][h] >> bit & 1) != 0;
        const RowValues row = Traits::kOwnsRows ? own_values_[s][h] : row_values[e];
        const float exponent = scores[2 * h + e] * mine_.call.score_scale - row.log_sum_exp;
        const float before_dropout = is_edge ? power_of_2<Element>(exponent) : 0.0F;
        const float factor = (bits.kept.of[s][h] >> bit & 1) != 0 ? mine_.call.dropout.scale : 0.0F;
        EdgeValues cell;
        cell.score = scores[2 * h + e] * mine_.call.params.shape.scale;
        cell.weight = before_dropout * factor;
        cell.value_gain = value_gains[2 * h + e];
        cell.gain = cell.value_gain - row.delta;
        if constexpr (Traits::kIsGeneral) {
          cell.probability = probabilities[2 * h + e];
          cell.only_edge =
              Traits::kOwnsRows ? own_only_edge_[s][h] : (bits.only_edge >> bit & 1) != 0;
        }
        grad_score[e] = before_dropout * (factor * cell.value_gain - row.delta);
        weight[e] = cell.weight;
        estimate[e] = is_counted ? estimate_of(cell, is_edge, row.log_sum_exp) : 0.0F;
      }
      grad_scores.set(s, t, h, grad_score[0], grad_score[1]);
      weights.set(s, t, h, weight[0], weight[1]);
      estimates.set(s, t, h, estimate[0], estimate[1]);
    }
  }

  WarpCells<Traits> mine_;
  EstimatorConstants constants_;
  RowValues own_values_[kStrips][2];
  bool own_only_edge_[kStrips][2];
  Sums grad_;
  Sums value_;
  float product_[kStrips][Traits::kClusters / 8][4];
};

}  // namespace sbm::kernels::cuda::dense
