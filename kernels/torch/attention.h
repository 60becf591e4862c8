#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "kernels/attention.h"
#include "kernels/sampling.h"

namespace sbm::kernels::torch {

/// The choices of one attention layer that are not tensors.
struct SbmAttentionOptions {
  MaskLaw law = MaskLaw::kBernoulli;
  SelfLoops self_loops = SelfLoops::kAdd;
  double exploration = 0.01;
  Estimator estimator = Estimator::kPaper;
  double clip = 1.0;
  double probe_rate = 0.0;
  double dropout = 0.0;
  AttentionPath path = AttentionPath::kAuto;
  double dense_from = 0.0;  ///< of kAuto, as in AttentionShape
  /// The k-wide products of the backward in bfloat16, as in cpu::BackwardParams and
  /// cpu::MembershipGradientParams. CPU only.
  bool bf16_memberships = false;
};

struct SbmAttentionResult {
  at::Tensor output;  ///< [batch, queries, heads, head_dim], contiguous
  /// int64 [batch, heads, 3]: drawn edges, forced diagonal edges, valid cells.
  at::Tensor edge_counts;
};

/// Samples the masks and attends along their edges; differentiable in query, key, value,
/// query_membership, key_membership and block_matrix.
///   query, key, value   float [batch, heads, tokens, head_dim], any batch/head/token strides
///   query_membership    float [batch, heads, queries, clusters]; key_membership likewise
///   block_matrix        float [heads, clusters, clusters]
///   query_valid, key_valid  bool or uint8 [batch, tokens]; undefined: all valid
///   mask_keys           int64 [batch, heads], the bits of stream_key(kMask)
///   probe_keys          int64 [batch, heads], the bits of stream_key(kProbe); needed by TRAPEZOID,
///                       of no use to the other estimators
///   dropout_keys        int64 [batch, heads], needed when options.dropout > 0
///   density_gradient    float [heads], c_h of REFERENCE; undefined: 0
/// This is the C++ face of the dispatcher's operator sbm::attention. Throws c10::Error on tensors
/// of the wrong shape or type and std::invalid_argument with the kernel's own words otherwise.
SbmAttentionResult sbm_attention(
    const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
    const at::Tensor& query_membership, const at::Tensor& key_membership,
    const at::Tensor& block_matrix, const std::optional<at::Tensor>& query_valid,
    const std::optional<at::Tensor>& key_valid, const at::Tensor& mask_keys,
    const std::optional<at::Tensor>& probe_keys, const std::optional<at::Tensor>& dropout_keys,
    const std::optional<at::Tensor>& density_gradient, const SbmAttentionOptions& options);

/// Differentiable face of kernels::cpu::keyed_dropout: input float [batch, tokens, features], keys
/// int64 [batch]. probability 0 returns the input itself.
at::Tensor keyed_dropout(const at::Tensor& input, const at::Tensor& keys, double probability);

}  // namespace sbm::kernels::torch
