#pragma once

#include <cstdint>

#include "kernels/cuda/attention_edges.cuh"

// delta = dO . O of every row, of all graphs. Thread mapping: a group of lanes a row
// (attention_edges.cuh), 8 features a lane. No shared memory. Bound: reading O and dO once.
namespace sbm::kernels::cuda {

inline constexpr int kDeltaThreads = 256;

template <class Traits>
__global__ void __launch_bounds__(kDeltaThreads) attention_delta_kernel(const BackwardParams call) {
  using Element = typename Traits::Element;
  constexpr int kRows = kDeltaThreads / Traits::kGroupLanes;
  const int queries = static_cast<int>(call.shape.queries);
  const int in_group = static_cast<int>(threadIdx.x) % Traits::kGroupLanes;
  const int blocks = (queries + kRows - 1) / kRows;
  const std::int64_t pieces = call.shape.batch * call.shape.heads * blocks;
  for (std::int64_t piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
    const std::int64_t graph = piece / blocks;
    const std::int64_t batch = graph / call.shape.heads;
    const std::int64_t head = graph % call.shape.heads;
    const int row = static_cast<int>(piece % blocks) * kRows +
                    static_cast<int>(threadIdx.x) / Traits::kGroupLanes;
    float sum = 0.0F;
    if (row < queries) {
      RowSlice<Traits> output;
      RowSlice<Traits> grad_output;
      output.load(HeadRowsOf<const Element>(call.output, batch, head)[row], in_group);
      grad_output.load(HeadRowsOf<const Element>(call.grad_output, batch, head)[row], in_group);
      sum = partial_dot(output, grad_output);
    }
#pragma unroll
    for (int offset = 1; offset < Traits::kGroupLanes; offset *= 2) {
      sum += __shfl_xor_sync(kFullWarp, sum, offset);
    }
    if (row < queries && in_group == 0) call.delta[graph * queries + row] = sum;
  }
}

}  // namespace sbm::kernels::cuda
