#include <ATen/ATen.h>

#include "kernels/cuda/dropout.h"
#include "kernels/torch/arguments.h"
#include "kernels/torch/attention_cuda.h"
#include "kernels/torch/checks.h"
#include "kernels/torch/device_parameters.h"

namespace sbm::kernels::torch {

at::Tensor keyed_dropout_on_stream(CUstream_st* stream, const at::Tensor& input,
                                   const at::Tensor& keys, double probability) {
  check_keyed_dropout(input, keys, Precisions::kFloatOrBfloat16);
  check_device("keys", keys, input.device());
  const at::Tensor dense_input = input.contiguous();
  const at::Tensor dense_keys = keys.contiguous();
  at::Tensor output = at::empty_like(dense_input);
  check_status("sbm::keyed_dropout", cuda::keyed_dropout({.precision = precision_of(input),
                                                          .input = dense_input.const_data_ptr(),
                                                          .output = output.mutable_data_ptr(),
                                                          .keys = philox_keys(dense_keys),
                                                          .samples = input.size(0),
                                                          .tokens = input.size(1),
                                                          .features = input.size(2),
                                                          .probability = probability},
                                                         stream));
  return output;
}

}  // namespace sbm::kernels::torch
