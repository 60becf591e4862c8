#include "kernels/torch/registered_kernels.h"

// This build has no kernels for CUDA tensors.
namespace sbm::kernels::torch {

void register_cuda_kernels(::torch::Library& /*library*/) {}

}  // namespace sbm::kernels::torch
