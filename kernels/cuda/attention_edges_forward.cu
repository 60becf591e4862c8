#include "kernels/cuda/attention_edges_forward.cuh"

#include "kernels/cuda/attention.h"
#include "kernels/cuda/attention_edges_launch.h"

namespace sbm::kernels::cuda {
namespace {

template <class Element, int head_dim>
Status launch_forward(const EdgeForward& forward, CUstream_st* stream) {
  using Traits = EdgeTraits<Element, head_dim>;
  const std::uint32_t blocks = edge_blocks(forward.call.shape, forward.call.shape.queries);
  if (blocks == 0) return {};
  return launch(edge_forward_kernel<Traits>, dim3(blocks), dim3(Traits::kThreads), 0, stream,
                forward);
}

template <class Element>
Status launch_forward(const EdgeForward& forward, CUstream_st* stream) {
  switch (forward.call.shape.head_dim) {
    case 32:
      return launch_forward<Element, 32>(forward, stream);
    case 64:
      return launch_forward<Element, 64>(forward, stream);
    default:
      return launch_forward<Element, 128>(forward, stream);
  }
}

}  // namespace

Status attention_forward_edges(const ForwardParams& params, CUstream_st* stream) {
  const EdgeForward forward = {.call = params, .dropout = DropoutRule(params.shape.dropout)};
  if (params.precision == Precision::kBfloat16) {
    return launch_forward<__nv_bfloat16>(forward, stream);
  }
  return launch_forward<float>(forward, stream);
}

}  // namespace sbm::kernels::cuda
