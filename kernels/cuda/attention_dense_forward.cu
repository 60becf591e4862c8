#include "kernels/cuda/attention_dense_forward.cuh"

#include "kernels/cuda/attention_dense_launch.h"

namespace sbm::kernels::cuda {
namespace {

template <class Element, int HeadDim>
Status launch_forward(const dense::ForwardCall& call, cudaStream_t stream) {
  using Traits = dense::ForwardTraits<Element, HeadDim>;
  static_assert(Traits::kSharedBytes <= dense::kLargestSharedBytes);
  const unsigned grid =
      dense::grid_size(call.params.shape, call.params.shape.queries, Traits::kRows);
  if (grid == 0) return Status();
  return launch(dense::attention_dense_forward<Traits>, dim3(grid), dim3(Traits::kThreads),
                Traits::kSharedBytes, stream, call);
}

template <class Element>
Status launch_forward(const dense::ForwardCall& call, cudaStream_t stream) {
  switch (call.params.shape.head_dim) {
    case 32:
      return launch_forward<Element, 32>(call, stream);
    case 64:
      return launch_forward<Element, 64>(call, stream);
    default:
      return launch_forward<Element, 128>(call, stream);
  }
}

}  // namespace

Status attention_forward_dense(const ForwardParams& params, CUstream_st* stream) {
  dense::ForwardCall call;
  call.params = params;
  call.score_scale = params.shape.scale * kLog2E;
  call.dropout = DropoutRule(params.shape.dropout);
  if (params.precision == Precision::kBfloat16) {
    return launch_forward<dense::Bfloat16>(call, stream);
  }
  return launch_forward<float>(call, stream);
}

}  // namespace sbm::kernels::cuda
