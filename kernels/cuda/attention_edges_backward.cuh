#pragma once

#include <cstdint>

#include "kernels/cuda/attention_dropout.cuh"
#include "kernels/cuda/attention_edges.cuh"
#include "kernels/cuda/attention_edges_passes.cuh"
#include "kernels/cuda/attention_estimator.cuh"
#include "kernels/cuda/attention_memberships.cuh"
#include "kernels/cuda/ptx.cuh"

// Backward along the edges of a line, and along its probes: of rows dQ and T = G Khat, of columns
// dK, dV and R = G^T Qhat. Both passes compute scores and weights again from log-sum-exp and delta,
// so nothing is kept an edge and every output element has one owner.
//
// Thread mapping: attention_edges.cuh; for T and R a team's lanes go along the clusters, 4 a lane,
// one edge after the other. Shared memory: the shares of a long line, teams x (head_dim, or twice
// that, + the largest number of clusters) floats: at most 24 KiB. Bound: the bytes gathered from
// L2, 2 head_dim elements and `clusters` floats an edge and pass.
namespace sbm::kernels::cuda {

/// Bounds of EdgeBackwardTraits. bf16 has instances of both, so that the sums of few clusters do
/// not cost it the registers of many; float32 has those of many alone.
inline constexpr int kFewClusters = 64;
inline constexpr int kManyClusters = 256;

/// Traits of a pass: `most_clusters` bounds the clusters, whose sums stay in registers.
template <class Element, int head_dim, EdgeSide side, Estimator estimator, int most_clusters>
struct EdgeBackwardTraits : EdgeTraits<Element, head_dim> {
  static constexpr EdgeSide kSide = side;
  static constexpr Estimator kEstimator = estimator;
  static constexpr int kMostClusters = most_clusters;
  static constexpr bool kIsRows = side == EdgeSide::kRows;
  static constexpr int kFeatureSums = kIsRows ? 1 : 2;  ///< dQ, or dK and dV
  static constexpr int kShareFloats = kFeatureSums * head_dim + most_clusters;
  /// Resident blocks that the registers must allow; ptxas spills with one more.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
  static constexpr int kBlocksOnAnSm = most_clusters <= kFewClusters ? 3 : 2;
#else
  static constexpr int kBlocksOnAnSm = most_clusters <= kFewClusters ? 4
                                       : sizeof(Element) == 2        ? 3
                                                                     : 2;
#endif
};

/// What a team has summed up of its line.
template <class Traits>
struct GradientShare {
  float features[Traits::kFeatureSums][Traits::kLaneFeatures] = {};
  ClusterSums<Traits> clusters;
};

/// A graph as one pass sees it: `own` tensors are those of the lines, `other` those of the cells.
template <class Traits>
class EdgeBackwardHead {
 public:
  using Element = typename Traits::Element;

  __device__ __forceinline__ EdgeBackwardHead(const EdgeBackward& launch, std::int64_t graph)
      : EdgeBackwardHead(launch, static_cast<std::uint32_t>(graph),
                         static_cast<std::uint32_t>(graph) /
                             static_cast<std::uint32_t>(launch.call.shape.heads)) {}

  /// Adds the task's edges, or probes, to `sums`. The whole warp calls, each team with a task of
  /// its own.
  __device__ __forceinline__ void add_cells(const LineTask& task, const GraphLines& lines,
                                            bool are_probes, const EdgeLane<Traits>& lane,
                                            GradientShare<Traits>& sums) const {
    std::uint32_t base = task.begin(lines) + task.part * Traits::kBatch;
    const std::uint32_t end = task.end(lines);
    RowSlice<Traits> own_first;
    RowSlice<Traits> own_second;
    own_first.clear();
    own_second.clear();
    RowConstants line_constants;
    if (base < end) {
      own_first.load(rows_of(Traits::kIsRows ? call_.query : call_.key)[task.line], lane.in_group);
      own_second.load(rows_of(Traits::kIsRows ? call_.grad_output : call_.value)[task.line],
                      lane.in_group);
      if constexpr (Traits::kIsRows) line_constants = row_constants(task.line);
    }
    for (; __any_sync(kFullWarp, base < end); base += task.parts * Traits::kBatch) {
      const std::uint32_t cell = base + lane.place(lane.slot);
      const bool is_cell = cell < end;
      const int other = is_cell ? lines.others[cell] : 0;
      RowSlice<Traits> first[Traits::kGroupEdges];
      RowSlice<Traits> second[Traits::kGroupEdges];
#pragma unroll
      for (int e = 0; e < Traits::kGroupEdges; ++e) {
        const int token = from_slot<Traits>(other, e);
        first[e].clear();
        second[e].clear();
        if (base + lane.place(e) < end) {
          first[e].load(other_first_[token], lane.in_group);
          second[e].load(other_second_[token], lane.in_group);
        }
      }
      float dots[Traits::kGroupEdges];
      float gains[Traits::kGroupEdges];
#pragma unroll
      for (int e = 0; e < Traits::kGroupEdges; ++e) {
        dots[e] = partial_dot(own_first, first[e]);
        gains[e] = partial_dot(own_second, second[e]);
      }
      const float score = reduce_transposed<Traits>(dots, lane.in_group) * call_.shape.scale;
      const float value_gain = reduce_transposed<Traits>(gains, lane.in_group);
      CellGradients gradients;
      if (is_cell) {
        const Cell place = {.line = task.line, .other = other, .index = cell};
        const RowConstants constants = Traits::kIsRows ? line_constants : row_constants(other);
        gradients = are_probes ? probe_gradients(place, lines, constants, score, value_gain)
                               : edge_gradients(place, lines, constants, score, value_gain);
      }
      if (!are_probes) {
#pragma unroll
        for (int e = 0; e < Traits::kGroupEdges; ++e) {
          const float grad_score = from_slot<Traits>(gradients.grad_score, e);
#pragma unroll
          for (int c = 0; c < Traits::kLaneFeatures; ++c) {
            sums.features[0][c] = fmaf(grad_score, first[e][c], sums.features[0][c]);
          }
          if constexpr (!Traits::kIsRows) {
            const float weight = from_slot<Traits>(gradients.weight, e);
#pragma unroll
            for (int c = 0; c < Traits::kLaneFeatures; ++c) {
              sums.features[1][c] = fmaf(weight, second[e][c], sums.features[1][c]);
            }
          }
        }
      }
      sums.clusters.add_batch(gradients.estimate, other, base, end, memberships_, lane);
    }
  }

  /// Adds up the groups' sums of features.
  __device__ __forceinline__ void finish(GradientShare<Traits>& sums) const {
#pragma unroll
    for (int s = 0; s < Traits::kFeatureSums; ++s) {
#pragma unroll
      for (int c = 0; c < Traits::kLaneFeatures; ++c) {
        sums.features[s][c] = sum_groups<Traits>(sums.features[s][c]);
      }
    }
  }

  /// Writes a line that was a team's own.
  __device__ __forceinline__ void store(int line, const EdgeLane<Traits>& lane,
                                        const GradientShare<Traits>& sums) const {
    if (lane.group == 0) {
      RowSlice<Traits> slice;
      slice.set(sums.features[0]);
      slice.store(first_gradient(line), lane.in_group);
      if constexpr (!Traits::kIsRows) {
        slice.set(sums.features[1]);
        slice.store(second_gradient(line), lane.in_group);
      }
    }
    sums.clusters.store(product_of(line), memberships_.clusters, lane.in_team);
  }

  /// Writes a line that was cut among the teams of the block.
  __device__ __forceinline__ void store_cut(int line, const EdgeLane<Traits>& lane,
                                            const GradientShare<Traits>& sums,
                                            float* shared) const {
    constexpr int kFeatures = Traits::kFeatureSums * Traits::kHeadDim;
    float* own = shared + lane.team * Traits::kShareFloats;
    if (lane.group == 0) {
#pragma unroll
      for (int s = 0; s < Traits::kFeatureSums; ++s) {
#pragma unroll
        for (int c = 0; c < Traits::kLaneFeatures; ++c) {
          own[s * Traits::kHeadDim + RowSlice<Traits>::column(lane.in_group, c)] =
              sums.features[s][c];
        }
      }
    }
    sums.clusters.store(own + kFeatures, memberships_.clusters, lane.in_team);
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < kFeatures + memberships_.clusters;
         i += Traits::kThreads) {
      float sum = 0.0F;
      for (int team = 0; team < Traits::kTeams; ++team) {
        sum += shared[team * Traits::kShareFloats + i];
      }
      if (i < Traits::kHeadDim) {
        store_element(first_gradient(line) + i, sum);
      } else if (i < kFeatures) {
        store_element(second_gradient(line) + i - Traits::kHeadDim, sum);
      } else {
        product_of(line)[i - kFeatures] = sum;
      }
    }
    __syncthreads();
  }

 private:
  /// What the cells of a row share.
  struct RowConstants {
    float log_sum_exp = 0.0F;
    float delta = 0.0F;
    bool only_edge = false;
  };

  /// What a cell passes on.
  struct CellGradients {
    float grad_score = 0.0F;  ///< scale * dL/ds
    float weight = 0.0F;      ///< after dropout
    float estimate = 0.0F;    ///< G
  };

  struct Cell {
    int line;
    int other;
    std::uint32_t index;  ///< in its list
  };

  __device__ __forceinline__ EdgeBackwardHead(const EdgeBackward& launch, std::uint32_t graph,
                                              std::uint32_t batch)
      : call_(launch.call),
        dropout_(launch.dropout),
        graph_(static_cast<int>(graph)),
        batch_(static_cast<int>(batch)),
        head_(static_cast<int>(graph) - batch_ * static_cast<int>(launch.call.shape.heads)),
        other_first_(Traits::kIsRows ? call_.key : call_.query, batch_, head_),
        other_second_(Traits::kIsRows ? call_.value : call_.grad_output, batch_, head_),
        memberships_(Traits::kIsRows ? call_.key_membership : call_.query_membership, graph,
                     Traits::kIsRows ? call_.shape.keys : call_.shape.queries,
                     static_cast<int>(call_.shape.clusters)),
        log_sum_exp_(call_.log_sum_exp + graph * call_.shape.queries),
        delta_(call_.delta + graph * call_.shape.queries),
        row_offsets_(call_.edges.rows.offsets + graph * (call_.shape.queries + 1)),
        dropout_key_(launch.dropout.threshold > 0 ? call_.shape.dropout_keys[graph] : 0),
        estimator_(launch.estimator.of_head(head_)) {}

  // What is needed once a line is computed then, to keep it out of the registers of the loop.
  [[nodiscard]] __device__ __forceinline__ HeadRowsOf<const Element> rows_of(
      const HeadTensor<const void>& tensor) const {
    return HeadRowsOf<const Element>(tensor, batch_, head_);
  }
  [[nodiscard]] __device__ __forceinline__ Element* first_gradient(int line) const {
    return HeadRowsOf<Element>(Traits::kIsRows ? call_.grad_query : call_.grad_key, batch_,
                               head_)[line];
  }
  [[nodiscard]] __device__ __forceinline__ Element* second_gradient(int line) const {
    return HeadRowsOf<Element>(call_.grad_value, batch_, head_)[line];
  }
  [[nodiscard]] __device__ __forceinline__ float* product_of(int line) const {
    const std::int64_t lines = Traits::kIsRows ? call_.shape.queries : call_.shape.keys;
    return (Traits::kIsRows ? call_.query_product : call_.key_product) +
           (graph_ * lines + line) * memberships_.clusters;
  }

  [[nodiscard]] __device__ __forceinline__ RowConstants row_constants(int row) const {
    RowConstants constants;
    constants.log_sum_exp = log_sum_exp_[row];
    constants.delta = delta_[row];
    if constexpr (Traits::kEstimator == Estimator::kTrapezoid) {
      constants.only_edge = row_offsets_[row + 1] - row_offsets_[row] == 1;
    }
    return constants;
  }

  [[nodiscard]] __device__ __forceinline__ CellGradients
  edge_gradients(const Cell& cell, const GraphLines& lines, const RowConstants& constants,
                 float score, float value_gain) const {
    EdgeValues edge;
    if constexpr (Traits::kEstimator == Estimator::kTrapezoid) {
      edge.probability = lines.probabilities[cell.index];
      edge.only_edge = constants.only_edge;
    }
    const auto line = static_cast<std::uint32_t>(cell.line);
    const auto other = static_cast<std::uint32_t>(cell.other);
    const float factor = Traits::kIsRows ? dropout_factor(dropout_, dropout_key_, line, other)
                                         : dropout_factor(dropout_, dropout_key_, other, line);
    const float weight = ptx::exp2_approx((score - constants.log_sum_exp) * kLog2E);
    CellGradients gradients;
    // A dropped edge still moves the scores, through the row's sum.
    gradients.grad_score = weight * fmaf(factor, value_gain, -constants.delta) * call_.shape.scale;
    gradients.weight = weight * factor;
    edge.score = score;
    edge.weight = gradients.weight;
    edge.value_gain = value_gain;
    edge.gain = value_gain - constants.delta;
    gradients.estimate =
        lines.gates[cell.index] * edge_estimate<Traits::kEstimator>(estimator_, edge);
    return gradients;
  }

  [[nodiscard]] __device__ __forceinline__ CellGradients
  probe_gradients(const Cell& cell, const GraphLines& lines, const RowConstants& constants,
                  float score, float value_gain) const {
    CellGradients gradients;
    gradients.estimate =
        lines.gates[cell.index] * probe_estimate(estimator_, score, constants.log_sum_exp,
                                                 value_gain - constants.delta,
                                                 lines.probabilities[cell.index]);
    return gradients;
  }

  const BackwardParams& call_;
  const DropoutRule& dropout_;
  int graph_;
  int batch_;
  int head_;
  HeadRowsOf<const Element> other_first_;
  HeadRowsOf<const Element> other_second_;
  MembershipRows memberships_;
  const float* log_sum_exp_;
  const float* delta_;
  const std::uint32_t* row_offsets_;
  PhiloxKey dropout_key_;
  EstimatorConstants estimator_;
};

template <class Traits>
__global__ void __launch_bounds__(Traits::kThreads, Traits::kBlocksOnAnSm)
    edge_backward_kernel(const EdgeBackward launch) {
  SBM_SHARED_ARRAY(float, shared, Traits::kTeams* Traits::kShareFloats);
  const EdgeGraphs& graphs = launch.call.edges;
  const EdgeLane<Traits> lane;
  const int line_count =
      static_cast<int>(Traits::kIsRows ? launch.call.shape.queries : launch.call.shape.keys);
  const CellList& edges = Traits::kIsRows ? graphs.rows : graphs.columns;
  const CellList& probes = Traits::kIsRows ? graphs.probe_rows : graphs.probe_columns;
  const bool has_probes = Traits::kEstimator == Estimator::kTrapezoid && probes.offsets != nullptr;
  const std::uint32_t blocks = (line_count + Traits::kBlockLines - 1) / Traits::kBlockLines;
  const std::uint32_t pieces = *graphs.work.count * blocks;
  for (std::uint32_t piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
    const std::int64_t graph = graphs.work.graphs[piece / blocks];
    const int first_line = static_cast<int>(piece % blocks) * Traits::kBlockLines;
    const EdgeBackwardHead<Traits> head(launch, graph);
    LineTasks<Traits> tasks(first_line, line_count, lane, [&](int line) {
      return line_cells(edges, graph, line_count, line) > Traits::kLongLine ||
             (has_probes && line_cells(probes, graph, line_count, line) > Traits::kLongLine);
    });
    for (LineTask task; tasks.next(task);) {
      GradientShare<Traits> sums;
      // One loop for both lists, so that the code of the cells is there once.
#pragma unroll 1
      for (int list = 0; list <= (has_probes ? 1 : 0); ++list) {
        const GraphLines lines(list == 0 ? edges : probes, graph, line_count);
        head.add_cells(task, lines, list != 0, lane, sums);
      }
      head.finish(sums);
      if (task.is_own) head.store(task.line, lane, sums);
      if (task.is_cut) head.store_cut(task.line, lane, sums, shared);
    }
  }
}

}  // namespace sbm::kernels::cuda
