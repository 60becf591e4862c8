#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/cuda/attention_dropout.cuh"
#include "kernels/cuda/attention_edges.cuh"
#include "kernels/cuda/attention_estimator.cuh"
#include "kernels/cuda/ptx.cuh"

// Forward along the edges of a row: scores, online softmax, weighted sum of values.
//
// Thread mapping: attention_edges.cuh. Shared memory: the shares of a long row, teams x (head_dim +
// 2) floats: 2.1, 4.1 and 4.1 KiB for head_dim 32, 64 and 128. Bound: the bytes gathered from L2,
// 2 head_dim elements and a 2-byte index an edge.
namespace sbm::kernels::cuda {

struct EdgeForward {
  ForwardParams call;
  DropoutRule dropout;
};

/// What a team knows of its row so far. `maximum` is that of the scores times log2(e); the sums are
/// relative to it.
template <class Traits>
struct SoftmaxShare {
  float maximum = -INFINITY;
  float sum = 0.0F;  ///< of the lane's slot alone until all edges are in
  float output[Traits::kLaneFeatures] = {};
};

template <class Traits>
class EdgeForwardHead {
 public:
  using Element = typename Traits::Element;

  __device__ __forceinline__ EdgeForwardHead(const EdgeForward& launch, std::int64_t graph)
      : EdgeForwardHead(launch, graph, graph / launch.call.shape.heads,
                        graph % launch.call.shape.heads) {}

  /// The softmax over the task's edges. The whole warp calls, each team with a task of its own.
  __device__ __forceinline__ void sum_edges(const LineTask& task, const EdgeLane<Traits>& lane,
                                            SoftmaxShare<Traits>& softmax) const {
    std::uint32_t base = task.begin(edges_) + task.part * Traits::kBatch;
    const std::uint32_t end = task.end(edges_);
    RowSlice<Traits> query;
    query.clear();
    if (base < end) query.load(query_[task.line], lane.in_group);
    std::uint32_t key = key_of_slot(base, end, lane);
    while (__any_sync(kFullWarp, base < end)) {
      RowSlice<Traits> keys[Traits::kGroupEdges];
      RowSlice<Traits> values[Traits::kGroupEdges];
#pragma unroll
      for (int e = 0; e < Traits::kGroupEdges; ++e) {
        const int token = static_cast<int>(from_slot<Traits>(key, e));
        keys[e].clear();
        values[e].clear();
        if (base + lane.place(e) < end) {
          keys[e].load(key_[token], lane.in_group);
          values[e].load(value_[token], lane.in_group);
        }
      }
      const bool is_edge = base + lane.place(lane.slot) < end;
      const std::uint32_t column = key;
      base += task.parts * Traits::kBatch;
      key = key_of_slot(base, end, lane);

      float dots[Traits::kGroupEdges];
#pragma unroll
      for (int e = 0; e < Traits::kGroupEdges; ++e) dots[e] = partial_dot(query, keys[e]);
      const float score = reduce_transposed<Traits>(dots, lane.in_group) * scale_;
      const float maximum = fmaxf(softmax.maximum, team_maximum(is_edge ? score : -INFINITY));
      // Equal infinities have no difference.
      const float rescale =
          softmax.maximum == maximum ? 1.0F : ptx::exp2_approx(softmax.maximum - maximum);
      softmax.maximum = maximum;
      float weight = is_edge ? ptx::exp2_approx(score - maximum) : 0.0F;
      softmax.sum = fmaf(softmax.sum, rescale, weight);
      weight *=
          dropout_factor(dropout_, dropout_key_, static_cast<std::uint32_t>(task.line), column);
#pragma unroll
      for (int c = 0; c < Traits::kLaneFeatures; ++c) softmax.output[c] *= rescale;
#pragma unroll
      for (int e = 0; e < Traits::kGroupEdges; ++e) {
        const float weight_of_edge = from_slot<Traits>(weight, e);
#pragma unroll
        for (int c = 0; c < Traits::kLaneFeatures; ++c) {
          softmax.output[c] = fmaf(weight_of_edge, values[e][c], softmax.output[c]);
        }
      }
    }
    softmax.sum += __shfl_xor_sync(kFullWarp, softmax.sum, 1);
    softmax.sum += __shfl_xor_sync(kFullWarp, softmax.sum, 2);
    softmax.sum = sum_groups<Traits>(softmax.sum);
#pragma unroll
    for (int c = 0; c < Traits::kLaneFeatures; ++c) {
      softmax.output[c] = sum_groups<Traits>(softmax.output[c]);
    }
  }

  /// Writes a row that was a team's own.
  __device__ __forceinline__ void store(int row, const EdgeLane<Traits>& lane,
                                        const SoftmaxShare<Traits>& softmax) const {
    if (lane.group != 0) return;
    const bool has_edges = edges_.offsets[row] < edges_.offsets[row + 1];
    const float inverse = has_edges ? 1.0F / softmax.sum : 0.0F;
    float features[Traits::kLaneFeatures];
#pragma unroll
    for (int c = 0; c < Traits::kLaneFeatures; ++c) features[c] = softmax.output[c] * inverse;
    RowSlice<Traits> slice;
    slice.set(features);
    slice.store(output_[row], lane.in_group);
    if (lane.in_group == 0) {
      log_sum_exp_[row] = has_edges ? log_sum_exp(softmax.maximum, softmax.sum) : -INFINITY;
    }
  }

  /// Writes a row that was cut among the teams of the block.
  __device__ __forceinline__ void store_cut(int row, const EdgeLane<Traits>& lane,
                                            const SoftmaxShare<Traits>& softmax,
                                            float* shared) const {
    constexpr int kWidth = Traits::kHeadDim + 2;
    float* own = shared + lane.team * kWidth;
    if (lane.group == 0) {
#pragma unroll
      for (int c = 0; c < Traits::kLaneFeatures; ++c) {
        own[RowSlice<Traits>::column(lane.in_group, c)] = softmax.output[c];
      }
      if (lane.in_group == 0) {
        own[Traits::kHeadDim] = softmax.maximum;
        own[Traits::kHeadDim + 1] = softmax.sum;
      }
    }
    __syncthreads();
    const int feature = static_cast<int>(threadIdx.x);
    if (feature < Traits::kHeadDim) {
      float maximum = -INFINITY;
      for (int team = 0; team < Traits::kTeams; ++team) {
        maximum = fmaxf(maximum, shared[team * kWidth + Traits::kHeadDim]);
      }
      float sum = 0.0F;
      float output = 0.0F;
      for (int team = 0; team < Traits::kTeams; ++team) {
        const float* theirs = shared + team * kWidth;
        const float factor = ptx::exp2_approx(theirs[Traits::kHeadDim] - maximum);
        sum = fmaf(theirs[Traits::kHeadDim + 1], factor, sum);
        output = fmaf(theirs[feature], factor, output);
      }
      store_element(output_[row] + feature, output / sum);
      if (feature == 0) log_sum_exp_[row] = log_sum_exp(maximum, sum);
    }
    __syncthreads();
  }

 private:
  __device__ __forceinline__ EdgeForwardHead(const EdgeForward& launch, std::int64_t graph,
                                             std::int64_t batch, std::int64_t head)
      : edges_(launch.call.edges.rows, graph, static_cast<int>(launch.call.shape.queries)),
        query_(launch.call.query, batch, head),
        key_(launch.call.key, batch, head),
        value_(launch.call.value, batch, head),
        output_(launch.call.output, batch, head),
        log_sum_exp_(launch.call.log_sum_exp + graph * launch.call.shape.queries),
        scale_(launch.call.shape.scale * kLog2E),
        dropout_(launch.dropout),
        dropout_key_(launch.dropout.threshold > 0 ? launch.call.shape.dropout_keys[graph] : 0) {}

  /// The key of the edge that the lane answers for.
  [[nodiscard]] __device__ __forceinline__ std::uint32_t key_of_slot(
      std::uint32_t base, std::uint32_t end, const EdgeLane<Traits>& lane) const {
    const std::uint32_t edge = base + lane.place(lane.slot);
    return edge < end ? edges_.others[edge] : 0;
  }

  [[nodiscard]] static __device__ __forceinline__ float team_maximum(float value) {
    value = fmaxf(value, __shfl_xor_sync(kFullWarp, value, 1));
    value = fmaxf(value, __shfl_xor_sync(kFullWarp, value, 2));
    if constexpr (Traits::kGroups > 1) {
      value = fmaxf(value, __shfl_xor_sync(kFullWarp, value, Traits::kGroupLanes));
    }
    return value;
  }

  [[nodiscard]] static __device__ __forceinline__ float log_sum_exp(float maximum, float sum) {
    return fmaf(maximum, kLn2, logf(sum));
  }

  GraphLines edges_;
  HeadRowsOf<const Element> query_;
  HeadRowsOf<const Element> key_;
  HeadRowsOf<const Element> value_;
  HeadRowsOf<Element> output_;
  float* log_sum_exp_;
  float scale_;
  DropoutRule dropout_;
  PhiloxKey dropout_key_;
};

template <class Traits>
__global__ void __launch_bounds__(Traits::kThreads) edge_forward_kernel(const EdgeForward launch) {
  SBM_SHARED_ARRAY(float, shared, Traits::kTeams*(Traits::kHeadDim + 2));
  const EdgeGraphs& graphs = launch.call.edges;
  const EdgeLane<Traits> lane;
  const int rows = static_cast<int>(launch.call.shape.queries);
  const std::uint32_t blocks = (rows + Traits::kBlockLines - 1) / Traits::kBlockLines;
  const std::uint32_t pieces = *graphs.work.count * blocks;
  for (std::uint32_t piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
    const std::int64_t graph = graphs.work.graphs[piece / blocks];
    const int first_row = static_cast<int>(piece % blocks) * Traits::kBlockLines;
    const EdgeForwardHead<Traits> head(launch, graph);
    LineTasks<Traits> tasks(first_row, rows, lane, [&](int row) {
      return line_cells(graphs.rows, graph, rows, row) > Traits::kLongLine;
    });
    for (LineTask task; tasks.next(task);) {
      SoftmaxShare<Traits> softmax;
      head.sum_edges(task, lane, softmax);
      if (task.is_own) head.store(task.line, lane, softmax);
      if (task.is_cut) head.store_cut(task.line, lane, softmax, shared);
    }
  }
}

}  // namespace sbm::kernels::cuda
