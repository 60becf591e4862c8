#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "kernels/torch/attention_cuda.h"
#include "kernels/torch/registered_kernels.h"

// The kernels for CUDA tensors: on the device of the first tensor and its current stream.
namespace sbm::kernels::torch {

namespace {

template <auto function>
struct OnCurrentStream;

template <class Result, class... Arguments,
          Result (*function)(CUstream_st*, const at::Tensor&, Arguments...)>
struct OnCurrentStream<function> {
  static Result call(const at::Tensor& first, Arguments... arguments) {
    const c10::cuda::CUDAGuard guard(first.device());
    return function(c10::cuda::getCurrentCUDAStream(), first, arguments...);
  }
};

}  // namespace

void register_cuda_kernels(::torch::Library& library) {
  library.impl("attention", OnCurrentStream<attention_on_stream>::call);
  library.impl("attention_backward", OnCurrentStream<attention_backward_on_stream>::call);
  library.impl("keyed_dropout", OnCurrentStream<keyed_dropout_on_stream>::call);
}

}  // namespace sbm::kernels::torch
