#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "trainer/attention_layer.h"
#include "trainer/config.pb.h"
#include "trainer/documents.h"
#include "trainer/encoder_input.h"
#include "trainer/parameters.h"

namespace sbm::trainer {

/// What a forward pass gives.
struct EncoderOutput {
  /// float [batch, classes], or [batch, tokens, classes] with per-token labels; for scores the
  /// predicted ones, [batch, 1]; for masked language [targets, vocabulary].
  at::Tensor logits;
  at::Tensor expected_density;  ///< float [layers, batch, heads], differentiable; 1 for FULL
  /// int64 [layers, batch, heads, 3]: drawn edges, forced diagonal edges, valid cells.
  at::Tensor edge_counts;
  at::Tensor valid;  ///< bool [sequences, tokens]: what was attended to
};

/// A micro-batch that Encoder::prepare() found good: the sequences the encoder runs over.
using PreparedInput = Documents;

/// The SBM-Transformer encoder and its head (docs/method.md): token, learned position and, for
/// pairs in one sequence, segment embeddings, pre-LN blocks of attention and a GELU MLP, a final
/// norm; then the mean over the tokens seen (or their sum over model.pooled_length) and
/// Linear-ReLU-Linear for a class or a score a sample, or one Linear a token. Masked language: at
/// EncoderInput::places only, because a vocabulary of logits for every token would dwarf the
/// encoder, Linear, GELU, norm and the transposed token embeddings with a bias of their own. Two
/// documents are encoded apart, each cut to model.max_length; the head then takes [x0, x1, x0 * x1,
/// x0 - x1] of the pooled two. Densities and edges of a sample are then the mean and the sums over
/// its documents. Dropout stands where the published code has it: after the embeddings, after
/// attention, after GELU, after the MLP.
class Encoder {
 public:
  /// `parameters` outlives the encoder; their memory is read anew in every forward pass.
  Encoder(const Model& model, const ModelParameters& parameters);

  ~Encoder();
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  /// Checks `input`, cuts the documents of samples that have two, and puts the tensors on the
  /// model's device, in the current stream, without waiting for it. The ids stay where they are or
  /// lie in the result. Throws InternalError on an input of the wrong shape or type, or a sample
  /// without tokens.
  [[nodiscard]] PreparedInput prepare(const EncoderInput& input) const;

  /// Never waits for the device.
  [[nodiscard]] EncoderOutput forward(const PreparedInput& prepared) const;
  /// Of prepare(input), whose errors it throws.
  [[nodiscard]] EncoderOutput forward(const EncoderInput& input) const;

  /// What the masks of each layer are drawn from, control included; empty for FULL. Every row of
  /// `input` is one sequence, also when the model compares documents.
  [[nodiscard]] std::vector<Memberships> memberships(const EncoderInput& input) const;

  [[nodiscard]] at::Device device() const { return token_embedding_.device(); }
  [[nodiscard]] const Model& model() const { return model_; }
  [[nodiscard]] const ModelShape& shape() const { return shape_; }

 private:
  struct Block;
  using LayerVisitor = std::function<void(const AttentionLayerOutput&)>;
  void check(const EncoderInput& input) const;
  void put_on_device(EncoderInput& input) const;
  /// The normed hidden states [batch, tokens, embedding_dim]; shows each layer's attention.
  [[nodiscard]] at::Tensor encode(const EncoderInput& input, const LayerVisitor& visit) const;
  [[nodiscard]] at::Tensor embed(const EncoderInput& input) const;
  [[nodiscard]] at::Tensor feed_forward(const Block& block, const at::Tensor& hidden,
                                        const EncoderInput& input, std::int64_t layer) const;
  [[nodiscard]] at::Tensor head(const at::Tensor& hidden, const EncoderInput& input) const;
  [[nodiscard]] at::Tensor masked_language_head(const at::Tensor& hidden) const;

  Model model_;
  ModelShape shape_;
  at::Tensor token_embedding_, position_embedding_, segment_embedding_;
  std::vector<Block> blocks_;
  at::Tensor norm_weight_, norm_bias_;
  at::Tensor hidden_weight_, hidden_bias_;        ///< of the head for a class or a score
  at::Tensor transform_weight_, transform_bias_;  ///< of the head for masked language
  at::Tensor transform_norm_weight_, transform_norm_bias_;
  at::Tensor logits_weight_, logits_bias_;
};

}  // namespace sbm::trainer
