#include <algorithm>

#include "kernels/cuda/attention.h"
#include "kernels/cuda/attention_edges.cuh"

// delta = dO . O of every row, of all graphs. Thread mapping: a group of lanes a row
// (attention_edges.cuh), 8 features a lane. No shared memory. Bound: reading O and dO once.
namespace sbm::kernels::cuda {
namespace {

constexpr int kDeltaThreads = 256;

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

template <class Traits>
Status launch_delta(const BackwardParams& params, CUstream_st* stream) {
  constexpr std::int64_t kRows = kDeltaThreads / Traits::kGroupLanes;
  constexpr std::int64_t kMostBlocks = 132 * 16;  // fill the largest GPU
  const AttentionShape& shape = params.shape;
  const std::int64_t pieces = shape.batch * shape.heads * ((shape.queries + kRows - 1) / kRows);
  if (pieces == 0) return {};
  const dim3 blocks(static_cast<unsigned>(std::min(pieces, kMostBlocks)));
  return launch(attention_delta_kernel<Traits>, blocks, dim3(kDeltaThreads), 0, stream, params);
}

template <class Element>
Status launch_delta_of(const BackwardParams& params, CUstream_st* stream) {
  switch (params.shape.head_dim) {
    case 32:
      return launch_delta<EdgeTraits<Element, 32>>(params, stream);
    case 64:
      return launch_delta<EdgeTraits<Element, 64>>(params, stream);
    default:
      return launch_delta<EdgeTraits<Element, 128>>(params, stream);
  }
}

}  // namespace

std::size_t attention_delta_bytes(const AttentionShape& shape) {
  return static_cast<std::size_t>(shape.batch * shape.heads * shape.queries) * sizeof(float);
}

Status attention_delta(const BackwardParams& params, CUstream_st* stream) {
  return params.precision == Precision::kBfloat16 ? launch_delta_of<__nv_bfloat16>(params, stream)
                                                  : launch_delta_of<float>(params, stream);
}

}  // namespace sbm::kernels::cuda
