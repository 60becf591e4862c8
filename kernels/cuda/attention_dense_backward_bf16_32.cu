#include "kernels/cuda/attention_dense_backward_launch.cuh"
#include "kernels/cuda/attention_dense_instances.h"

namespace sbm::kernels::cuda::dense {

Status backward_bf16_32(const BackwardCall& call, CUstream_st* stream) {
  if (call.params.shape.clusters <= 32) return launch_passes<Bfloat16, 32, 32>(call, stream);
  return launch_passes<Bfloat16, 32, 128>(call, stream);
}

}  // namespace sbm::kernels::cuda::dense
