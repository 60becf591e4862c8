#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "kernels/torch/attention.h"
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
  Memberships memberships;      ///< what the masks were drawn from, control included; SBM only
};

/// Multi-head self-attention of one layer: projections to queries, keys and values, SBM or FULL
/// attention, output projection. Functional: the weights are ModelParameters'.
class AttentionLayer {
 public:
  AttentionLayer(const Model& model, const ModelParameters& parameters, std::int64_t layer);

  /// `hidden` float [batch, tokens, embedding_dim], the normalised input.
  [[nodiscard]] AttentionLayerOutput forward(const at::Tensor& hidden,
                                             const EncoderInput& input) const;

 private:
  [[nodiscard]] AttentionLayerOutput sbm_attention(const at::Tensor& query, const at::Tensor& key,
                                                   const at::Tensor& value,
                                                   const EncoderInput& input) const;
  [[nodiscard]] AttentionLayerOutput full_attention(const at::Tensor& query, const at::Tensor& key,
                                                    const at::Tensor& value,
                                                    const EncoderInput& input) const;
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

/// The configuration's words in the kernels' terms. Dropout is on in training only, and the full
/// mask is drawn by BERNOULLI whatever the law, because under POISSON probability 1 is no
/// certainty.
kernels::torch::SbmAttentionOptions attention_options(const Attention& attention,
                                                      MaskControl control, bool training);

}  // namespace sbm::trainer
