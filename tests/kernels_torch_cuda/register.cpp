#include <torch/library.h>

#include "cuda_host/stream.h"
#include "kernels/torch/attention_cuda.h"

// Puts the code for CUDA tensors into the place of that for CPU tensors, with a stream of the
// bench.
namespace sbm::kernels::torch {
namespace {

template <auto function>
struct OnTestStream;

template <class Result, class... Arguments, Result (*function)(CUstream_st*, Arguments...)>
struct OnTestStream<function> {
  static Result call(Arguments... arguments) {
    return function(cuda_host::test_stream(), arguments...);
  }
};

}  // namespace
}  // namespace sbm::kernels::torch

TORCH_LIBRARY_IMPL(sbm, CPU, library) {
  using namespace sbm::kernels::torch;
  library.impl("attention", OnTestStream<attention_on_stream>::call);
  library.impl("attention_backward", OnTestStream<attention_backward_on_stream>::call);
  library.impl("keyed_dropout", OnTestStream<keyed_dropout_on_stream>::call);
}
