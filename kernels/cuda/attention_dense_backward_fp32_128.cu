#include "kernels/cuda/attention_dense_backward_launch.cuh"
#include "kernels/cuda/attention_dense_instances.h"

namespace sbm::kernels::cuda::dense {

Status backward_fp32_128(const BackwardCall& call, CUstream_st* stream) {
  return launch_passes<float, 128, 32>(call, stream);
}

}  // namespace sbm::kernels::cuda::dense
