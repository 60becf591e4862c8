#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/SymInt.h>

#include "kernels/status.h"
#include "kernels/torch/operators.h"

// What CPU and Meta tensors have in common: how arguments are judged, and the layout of gradients.
namespace sbm::kernels::torch {

/// The sizes that all tensors of one attention call agree on.
struct AttentionSizes {
  c10::SymInt batch;
  c10::SymInt heads;
  c10::SymInt queries;
  c10::SymInt keys;
  c10::SymInt head_dim;
  c10::SymInt clusters;
};

/// What query, key, value and output may be.
enum class Precisions { kFloat, kFloatOrBfloat16 };

/// Throws c10::Error, naming the argument, what was expected and what was found, unless `tensor` is
/// defined and has this shape and type.
void check_tensor(const char* name, const at::Tensor& tensor, c10::SymIntArrayRef shape,
                  at::ScalarType type);

/// The sizes, read from query, key and query_membership, after every shape and type of
/// sbm::attention was held against them. Throws c10::Error.
AttentionSizes check_attention(const at::Tensor& query, const at::Tensor& key,
                               const at::Tensor& value, const at::Tensor& query_membership,
                               const at::Tensor& key_membership, const at::Tensor& block_matrix,
                               const OptionalTensor& query_valid, const OptionalTensor& key_valid,
                               const at::Tensor& mask_keys, const OptionalTensor& dropout_keys,
                               const OptionalTensor& density_gradient, double dropout,
                               Precisions precisions);

/// Throws c10::Error unless probe_keys are int64 [batch, heads] where the estimator needs them.
void check_probe_keys(const AttentionSizes& sizes, const OptionalTensor& probe_keys,
                      std::int64_t estimator);

/// Likewise for sbm::attention_backward.
AttentionSizes check_attention_backward(
    const at::Tensor& grad_output, const at::Tensor& query, const at::Tensor& key,
    const at::Tensor& value, const at::Tensor& query_membership, const at::Tensor& key_membership,
    const at::Tensor& block_matrix, const at::Tensor& output, const at::Tensor& log_sum_exp,
    const OptionalTensor& dropout_keys, const OptionalTensor& density_gradient, double dropout,
    Precisions precisions);

/// Throws c10::Error unless input is [batch, tokens, features] of one of `precisions` and keys
/// int64 [batch].
void check_keyed_dropout(const at::Tensor& input, const at::Tensor& keys, Precisions precisions);

/// Throws c10::Error, naming the argument, unless `tensor` is undefined or lies on `device`.
void check_device(const char* name, const OptionalTensor& tensor, at::Device device);

/// An uninitialised gradient of `input` in the memory layout of the input, so that a view of a
/// projection gets its gradient without a copy; its last dimension is contiguous.
at::Tensor gradient_like(const at::Tensor& input);

/// Throws std::invalid_argument with the status's own words unless it is ok.
void check_status(const char* operation, const Status& status);

}  // namespace sbm::kernels::torch
