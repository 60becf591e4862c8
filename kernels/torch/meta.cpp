#include <ATen/ATen.h>

#include "kernels/torch/checks.h"
#include "kernels/torch/registered_kernels.h"

// Shapes without data. Every output's shape, type and layout follow from the inputs'; what cannot
// be known is the edges, so `graphs` holds none, and the values of edge_counts.
namespace sbm::kernels::torch {

AttentionOutputs attention_meta(const at::Tensor& query, const at::Tensor& key,
                                const at::Tensor& value, const at::Tensor& query_membership,
                                const at::Tensor& key_membership, const at::Tensor& block_matrix,
                                const OptionalTensor& query_valid, const OptionalTensor& key_valid,
                                const at::Tensor& mask_keys, const OptionalTensor& probe_keys,
                                const OptionalTensor& dropout_keys,
                                const OptionalTensor& density_gradient, std::int64_t /*law*/,
                                std::int64_t /*self_loops*/, double /*exploration*/,
                                std::int64_t estimator, double /*clip*/, double /*probe_rate*/,
                                double dropout, std::int64_t /*path*/, double /*dense_from*/,
                                bool /*bf16_memberships*/) {
  const AttentionSizes sizes = check_attention(
      query, key, value, query_membership, key_membership, block_matrix, query_valid, key_valid,
      mask_keys, dropout_keys, density_gradient, dropout, Precisions::kFloatOrBfloat16);
  check_probe_keys(sizes, probe_keys, estimator);
  return {
      at::empty_symint({sizes.batch, sizes.queries, sizes.heads, sizes.head_dim}, query.options()),
      at::empty_symint({sizes.batch, sizes.heads, 3}, query.options().dtype(at::kLong)),
      at::empty_symint({sizes.batch, sizes.heads, sizes.queries},
                       query.options().dtype(at::kFloat)),
      c10::make_intrusive<SampledGraphs>(std::vector<EdgeList>())};
}

AttentionGradients attention_backward_meta(
    const at::Tensor& grad_output, const at::Tensor& query, const at::Tensor& key,
    const at::Tensor& value, const at::Tensor& query_membership, const at::Tensor& key_membership,
    const at::Tensor& block_matrix, const at::Tensor& output, const at::Tensor& log_sum_exp,
    const SampledGraphsHandle& /*graphs*/, const OptionalTensor& dropout_keys,
    const OptionalTensor& density_gradient, std::int64_t /*estimator*/, double /*clip*/,
    double /*probe_rate*/, double dropout, std::int64_t /*path*/, double /*dense_from*/,
    bool /*bf16_memberships*/) {
  check_attention_backward(grad_output, query, key, value, query_membership, key_membership,
                           block_matrix, output, log_sum_exp, dropout_keys, density_gradient,
                           dropout, Precisions::kFloatOrBfloat16);
  const auto contiguous = [](const at::Tensor& tensor) {
    return at::empty_like(tensor, at::MemoryFormat::Contiguous);
  };
  return {gradient_like(query),         gradient_like(key),         gradient_like(value),
          contiguous(query_membership), contiguous(key_membership), contiguous(block_matrix)};
}

at::Tensor keyed_dropout_meta(const at::Tensor& input, const at::Tensor& keys,
                              double /*probability*/) {
  check_keyed_dropout(input, keys, Precisions::kFloatOrBfloat16);
  return at::empty_like(input, at::MemoryFormat::Contiguous);
}

}  // namespace sbm::kernels::torch
