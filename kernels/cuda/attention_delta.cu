#include "kernels/cuda/attention_delta.cuh"

#include <algorithm>

#include "kernels/cuda/attention.h"

namespace sbm::kernels::cuda {
namespace {

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
