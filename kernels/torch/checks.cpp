#include "kernels/torch/checks.h"

#include <ATen/ATen.h>

#include <stdexcept>
#include <string>

#include "kernels/attention.h"

namespace sbm::kernels::torch {

namespace {

void check_dimensions(const char* name, const at::Tensor& tensor, std::int64_t dimensions,
                      const char* meaning) {
  TORCH_CHECK(tensor.defined(), name, ": expected a tensor ", meaning, ", found none");
  TORCH_CHECK(tensor.dim() == dimensions, name, ": expected ", meaning, ", found shape ",
              tensor.sym_sizes());
}

void check_valid(const char* name, const OptionalTensor& tensor, const c10::SymInt& batch,
                 const c10::SymInt& tokens) {
  if (!tensor.has_value() || !tensor->defined()) return;
  const at::ScalarType type = tensor->scalar_type();
  TORCH_CHECK(type == at::kBool || type == at::kByte, name, ": expected Bool or Byte, found ",
              type);
  check_tensor(name, *tensor, {batch, tokens}, type);
}

void check_precision(const char* name, const at::Tensor& tensor, Precisions precisions) {
  const at::ScalarType type = tensor.scalar_type();
  if (precisions == Precisions::kFloat) {
    TORCH_CHECK(type == at::kFloat, name, ": expected Float, found ", type);
  } else {
    TORCH_CHECK(type == at::kFloat || type == at::kBFloat16, name,
                ": expected Float or BFloat16, found ", type);
  }
}

// What the forward and the backward have in common.
AttentionSizes check_common(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                            const at::Tensor& query_membership, const at::Tensor& key_membership,
                            const at::Tensor& block_matrix, const OptionalTensor& dropout_keys,
                            const OptionalTensor& density_gradient, double dropout,
                            Precisions precisions) {
  check_dimensions("query", query, 4, "[batch, heads, queries, head_dim]");
  check_precision("query", query, precisions);
  check_dimensions("key", key, 4, "[batch, heads, keys, head_dim]");
  check_dimensions("query_membership", query_membership, 4, "[batch, heads, queries, clusters]");
  const AttentionSizes sizes = {.batch = query.sym_size(0),
                                .heads = query.sym_size(1),
                                .queries = query.sym_size(2),
                                .keys = key.sym_size(2),
                                .head_dim = query.sym_size(3),
                                .clusters = query_membership.sym_size(3)};
  const auto& [batch, heads, queries, keys, head_dim, clusters] = sizes;
  const at::ScalarType type = query.scalar_type();
  check_tensor("key", key, {batch, heads, keys, head_dim}, type);
  check_tensor("value", value, {batch, heads, keys, head_dim}, type);
  check_tensor("query_membership", query_membership, {batch, heads, queries, clusters}, at::kFloat);
  check_tensor("key_membership", key_membership, {batch, heads, keys, clusters}, at::kFloat);
  check_tensor("block_matrix", block_matrix, {heads, clusters, clusters}, at::kFloat);
  if (dropout > 0.0) {
    TORCH_CHECK(dropout_keys.has_value(), "dropout_keys: expected a tensor [batch, heads] with ",
                "dropout ", dropout, ", found none");
    check_tensor("dropout_keys", *dropout_keys, {batch, heads}, at::kLong);
  }
  if (density_gradient.has_value() && density_gradient->defined()) {
    check_tensor("density_gradient", *density_gradient, {heads}, at::kFloat);
  }
  return sizes;
}

}  // namespace

void check_tensor(const char* name, const at::Tensor& tensor, c10::SymIntArrayRef shape,
                  at::ScalarType type) {
  TORCH_CHECK(tensor.defined(), name, ": expected ", type, " ", shape, ", found none");
  TORCH_CHECK(tensor.scalar_type() == type && tensor.sym_sizes() == shape, name, ": expected ",
              type, " ", shape, ", found ", tensor.scalar_type(), " ", tensor.sym_sizes());
}

AttentionSizes check_attention(const at::Tensor& query, const at::Tensor& key,
                               const at::Tensor& value, const at::Tensor& query_membership,
                               const at::Tensor& key_membership, const at::Tensor& block_matrix,
                               const OptionalTensor& query_valid, const OptionalTensor& key_valid,
                               const at::Tensor& mask_keys, const OptionalTensor& dropout_keys,
                               const OptionalTensor& density_gradient, double dropout,
                               Precisions precisions) {
  const AttentionSizes sizes =
      check_common(query, key, value, query_membership, key_membership, block_matrix, dropout_keys,
                   density_gradient, dropout, precisions);
  check_valid("query_valid", query_valid, sizes.batch, sizes.queries);
  check_valid("key_valid", key_valid, sizes.batch, sizes.keys);
  check_tensor("mask_keys", mask_keys, {sizes.batch, sizes.heads}, at::kLong);
  return sizes;
}

void check_probe_keys(const AttentionSizes& sizes, const OptionalTensor& probe_keys,
                      std::int64_t estimator) {
  if (estimator != static_cast<std::int64_t>(Estimator::kTrapezoid)) return;
  TORCH_CHECK(probe_keys.has_value(),
              "probe_keys: expected a tensor [batch, heads] with TRAPEZOID, ", "found none");
  check_tensor("probe_keys", *probe_keys, {sizes.batch, sizes.heads}, at::kLong);
}

AttentionSizes check_attention_backward(
    const at::Tensor& grad_output, const at::Tensor& query, const at::Tensor& key,
    const at::Tensor& value, const at::Tensor& query_membership, const at::Tensor& key_membership,
    const at::Tensor& block_matrix, const at::Tensor& output, const at::Tensor& log_sum_exp,
    const OptionalTensor& dropout_keys, const OptionalTensor& density_gradient, double dropout,
    Precisions precisions) {
  const AttentionSizes sizes =
      check_common(query, key, value, query_membership, key_membership, block_matrix, dropout_keys,
                   density_gradient, dropout, precisions);
  const auto& [batch, heads, queries, keys, head_dim, clusters] = sizes;
  const at::ScalarType type = query.scalar_type();
  check_tensor("grad_output", grad_output, {batch, queries, heads, head_dim}, type);
  check_tensor("output", output, {batch, queries, heads, head_dim}, type);
  check_tensor("log_sum_exp", log_sum_exp, {batch, heads, queries}, at::kFloat);
  return sizes;
}

void check_keyed_dropout(const at::Tensor& input, const at::Tensor& keys, Precisions precisions) {
  check_dimensions("input", input, 3, "[batch, tokens, features]");
  check_precision("input", input, precisions);
  check_tensor("keys", keys, {input.sym_size(0)}, at::kLong);
}

void check_device(const char* name, const OptionalTensor& tensor, at::Device device) {
  if (!tensor.has_value() || !tensor->defined()) return;
  TORCH_CHECK(tensor->device() == device, name, ": expected a tensor on ", device,
              ", found one on ", tensor->device());
}

at::Tensor gradient_like(const at::Tensor& input) {
  at::Tensor gradient = at::empty_like(input, at::MemoryFormat::Preserve);
  if (gradient.sym_size(-1) != 1 && gradient.sym_stride(-1) != 1) {
    gradient = at::empty_like(input, at::MemoryFormat::Contiguous);
  }
  return gradient;
}

void check_status(const char* operation, const Status& status) {
  if (!status.ok()) throw std::invalid_argument(std::string(operation) + ": " + status.message());
}

}  // namespace sbm::kernels::torch
