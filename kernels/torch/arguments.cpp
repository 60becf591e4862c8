#include "kernels/torch/arguments.h"

#include <ATen/ATen.h>

#include <cmath>

namespace sbm::kernels::torch {

at::Tensor contiguous_or_undefined(const OptionalTensor& tensor) {
  return tensor.has_value() && tensor->defined() ? tensor->contiguous() : at::Tensor();
}

const std::uint8_t* valid_bytes(const at::Tensor& valid) {
  return valid.defined() ? static_cast<const std::uint8_t*>(valid.const_data_ptr()) : nullptr;
}

const PhiloxKey* philox_keys(const at::Tensor& keys) {
  return reinterpret_cast<const PhiloxKey*>(keys.const_data_ptr<std::int64_t>());
}

AttentionShape shape_of(const AttentionSizes& sizes, double dropout, const at::Tensor& dropout_keys,
                        std::int64_t path, double dense_from) {
  const std::int64_t head_dim = sizes.head_dim.expect_int();
  return {.batch = sizes.batch.expect_int(),
          .heads = sizes.heads.expect_int(),
          .queries = sizes.queries.expect_int(),
          .keys = sizes.keys.expect_int(),
          .head_dim = head_dim,
          .clusters = sizes.clusters.expect_int(),
          .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim))),
          .path = checked_enum("path", path, AttentionPath::kSparse),
          .dense_from = dense_from,
          .dropout = dropout,
          .dropout_keys = dropout > 0.0 ? philox_keys(dropout_keys) : nullptr};
}

}  // namespace sbm::kernels::torch
