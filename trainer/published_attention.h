#pragma once

#include <ATen/core/Tensor.h>

namespace sbm::trainer {

/// SBM attention as the published code computes it, in plain LibTorch operations on dense [tokens,
/// tokens] matrices: P = Qhat S Khat^T, A ~ Bernoulli(clamp(P + exploration, 0, 1)) with a clipped
/// straight-through gradient, O = L1-normalised (softmax(Q K^T / sqrt(d)) * A) V (Cho et al., 2022,
/// arXiv 2210.15541, and its code). Only a yardstick: masks come from LibTorch's generator.
///   query, key, value   float [batch, heads, tokens, head_dim]
///   query_membership, key_membership   float [batch, heads, tokens, clusters]
///   block_matrix        float [heads, clusters, clusters]
/// Returns [batch, heads, tokens, head_dim].
at::Tensor published_attention(const at::Tensor& query, const at::Tensor& key,
                               const at::Tensor& value, const at::Tensor& query_membership,
                               const at::Tensor& key_membership, const at::Tensor& block_matrix,
                               double exploration);

}  // namespace sbm::trainer
