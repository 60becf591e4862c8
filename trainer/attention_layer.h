#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "trainer/config.pb.h"
#include "trainer/encoder_input.h"
#include "trainer/mask_control.h"
#include "trainer/parameters.h"

namespace sbm::trainer {

/// What one attention layer gives.
struct AttentionLayerOutput {
  at::Tensor output;  ///< float [batch, tokens, embedding_dim], after the output projection
  at::Tensor expected_density;  ///< float [batch, heads], differentiable; 1 for FULL
  at::Tensor edge_counts;       ///< int64 [batch, heads, 3]: drawn, forced diagonal, valid cells
};

/// Multi-head self-attention of one layer: projections to queries, keys and values, SBM or FULL
/// attention, output projection. Functional: the weights are ModelParameters'.
class AttentionLayer {
 public:
  AttentionLayer(const Model& model, const ModelParameters& parameters, std::int64_t layer);

  /// `hidden` float [batch, tokens, embedding_dim], the normalised input.
  [[nodiscard]] AttentionLayerOutput forward(const at::Tensor& hidden,
                                             const EncoderInput& input) const;

  /// What the masks of this layer are drawn from, before any control; SBM only.
  ///   Qhat = sigmoid(g(Q) C^T), Khat = sigmoid(g(K) C^T), S = softmax over all entries of C C^T
  [[nodiscard]] Memberships memberships(const at::Tensor& hidden) const;

 private:
  struct Projections;
  [[nodiscard]] at::Tensor split_heads(const at::Tensor& hidden, const at::Tensor& weight,
                                       const at::Tensor& bias) const;
  [[nodiscard]] at::Tensor membership(const at::Tensor& heads) const;
  [[nodiscard]] at::Tensor block_matrix() const;

  Attention options_;
  std::int64_t heads_;
  std::int64_t head_dim_;
  std::int64_t layer_;
  at::Tensor query_weight_, query_bias_;
  at::Tensor key_weight_, key_bias_;
  at::Tensor value_weight_, value_bias_;
  at::Tensor output_weight_, output_bias_;
  at::Tensor clusters_;                             ///< C [heads, clusters, head_dim]; SBM only
  at::Tensor hidden_weight_, hidden_bias_;          ///< first layer of g; SBM only
  at::Tensor membership_weight_, membership_bias_;  ///< second layer of g; SBM only
};

/// sum P / (valid queries x valid keys) of each graph, O(nk) and differentiable: the analytic
/// density of docs/method.md. `valid` float [batch, tokens]. Returns float [batch, heads].
at::Tensor expected_density(const Memberships& memberships, const at::Tensor& valid);

}  // namespace sbm::trainer
