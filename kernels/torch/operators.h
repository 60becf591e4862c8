#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <tuple>

#include "kernels/torch/sampled_graphs.h"

// The operators of this library as the dispatcher knows them: one C++ signature for each schema of
// library.cpp, and a function that calls the operator through the dispatcher.
namespace sbm::kernels::torch {

using SampledGraphsHandle = c10::intrusive_ptr<SampledGraphs>;

/// output, edge_counts, log_sum_exp, graphs.
using AttentionOutputs = std::tuple<at::Tensor, at::Tensor, at::Tensor, SampledGraphsHandle>;

/// Gradients of query, key, value, query_membership, key_membership, block_matrix.
using AttentionGradients =
    std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor>;

using OptionalTensor = std::optional<at::Tensor>;

/// sbm::attention. Shapes as in kernels/torch/attention.h; log_sum_exp is float [batch, heads,
/// queries]; law, self_loops, estimator and path are the numbers of the enumerations.
AttentionOutputs dispatch_attention(
    const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
    const at::Tensor& query_membership, const at::Tensor& key_membership,
    const at::Tensor& block_matrix, const OptionalTensor& query_valid,
    const OptionalTensor& key_valid, const at::Tensor& mask_keys, const OptionalTensor& probe_keys,
    const OptionalTensor& dropout_keys, const OptionalTensor& density_gradient, std::int64_t law,
    std::int64_t self_loops, double exploration, std::int64_t estimator, double clip,
    double probe_rate, double dropout, std::int64_t path, double dense_from, bool bf16_memberships);

/// sbm::attention_backward. grad_output and output are [batch, queries, heads, head_dim].
AttentionGradients dispatch_attention_backward(
    const at::Tensor& grad_output, const at::Tensor& query, const at::Tensor& key,
    const at::Tensor& value, const at::Tensor& query_membership, const at::Tensor& key_membership,
    const at::Tensor& block_matrix, const at::Tensor& output, const at::Tensor& log_sum_exp,
    const SampledGraphsHandle& graphs, const OptionalTensor& dropout_keys,
    const OptionalTensor& density_gradient, std::int64_t estimator, double clip, double probe_rate,
    double dropout, std::int64_t path, double dense_from, bool bf16_memberships);

/// sbm::keyed_dropout; always a new tensor.
at::Tensor dispatch_keyed_dropout(const at::Tensor& input, const at::Tensor& keys,
                                  double probability);

using AttentionSignature = decltype(dispatch_attention);
using AttentionBackwardSignature = decltype(dispatch_attention_backward);
using KeyedDropoutSignature = decltype(dispatch_keyed_dropout);

}  // namespace sbm::kernels::torch
