#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <cstdint>

#include "base/philox.h"
#include "kernels/attention.h"
#include "kernels/torch/checks.h"

// From the tensors and numbers of an operator to the parameters of a kernel, on any device.
namespace sbm::kernels::torch {

/// The tensor itself where it is contiguous; undefined for none.
at::Tensor contiguous_or_undefined(const OptionalTensor& tensor);

/// One byte a token, or null for an undefined tensor. `valid` is contiguous, Bool or Byte.
const std::uint8_t* valid_bytes(const at::Tensor& valid);

/// Int64 tensors hold the bits of keys.
const PhiloxKey* philox_keys(const at::Tensor& keys);

/// `tensor` at `data`; `heads` and `tokens` are its dimensions of these. A dimension of one
/// element has a stride of 0, whatever LibTorch says.
template <typename T>
HeadTensor<T> head_tensor(const at::Tensor& tensor, T* data, int heads = 1, int tokens = 2) {
  const auto stride = [&](int dimension) {
    return tensor.size(dimension) > 1 ? tensor.stride(dimension) : 0;
  };
  return {.data = data,
          .batch_stride = stride(0),
          .head_stride = stride(heads),
          .token_stride = stride(tokens)};
}

/// Throws c10::Error unless `value` is the number of an enumerator up to `last`.
template <typename Enum>
Enum checked_enum(const char* name, std::int64_t value, Enum last) {
  TORCH_CHECK(value >= 0 && value <= static_cast<std::int64_t>(last), name, ": expected 0 to ",
              static_cast<std::int64_t>(last), ", found ", value);
  return static_cast<Enum>(value);
}

/// `dropout_keys` is contiguous and outlives the shape.
AttentionShape shape_of(const AttentionSizes& sizes, double dropout, const at::Tensor& dropout_keys,
                        std::int64_t path, double dense_from);

}  // namespace sbm::kernels::torch
