#include "trainer/encoder.h"

#include <ATen/ATen.h>

#include <utility>

#include "base/error.h"
#include "kernels/torch/attention.h"
#include "trainer/random_keys.h"
#include "trainer/shown_tokens.h"
#include "trainer/upload.h"

namespace sbm::trainer {
namespace {

/// PyTorch's default, which the published code keeps.
constexpr double kNormEpsilon = 1e-5;

at::Tensor norm(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& bias) {
  return at::layer_norm(hidden, {hidden.size(-1)}, weight, bias, kNormEpsilon);
}

at::Tensor residual_dropout(const at::Tensor& hidden, double probability, const EncoderInput& input,
                            std::int64_t layer, DropoutSite site) {
  if (!input.training || probability == 0.0) return hidden;
  const at::Tensor keys =
      sample_keys(input, StreamPurpose::kResidualDropout, layer, static_cast<std::uint32_t>(site));
  return kernels::torch::keyed_dropout(hidden, keys, probability);
}

}  // namespace

struct Encoder::Block {
  AttentionLayer attention;
  at::Tensor attention_norm_weight, attention_norm_bias;
  at::Tensor feed_forward_norm_weight, feed_forward_norm_bias;
  at::Tensor hidden_weight, hidden_bias;
  at::Tensor output_weight, output_bias;
};

Encoder::Encoder(const Model& model, const ModelParameters& parameters)
    : model_(model), shape_(parameters.shape()) {
  token_embedding_ = parameters.get("encoder.token_embedding.weight");
  if (model.learned_positions()) {
    position_embedding_ = parameters.get("encoder.position_embedding.weight");
  }
  if (shape_.parts == SampleParts::kSegments) {
    segment_embedding_ = parameters.get("encoder.segment_embedding.weight");
  }
  for (std::int64_t layer = 0; layer < model.layers(); ++layer) {
    const std::string name = "encoder.layers." + std::to_string(layer) + ".";
    blocks_.push_back({AttentionLayer(model, parameters, layer),
                       parameters.get(name + "attention_norm.weight"),
                       parameters.get(name + "attention_norm.bias"),
                       parameters.get(name + "feed_forward_norm.weight"),
                       parameters.get(name + "feed_forward_norm.bias"),
                       parameters.get(name + "feed_forward.hidden.weight"),
                       parameters.get(name + "feed_forward.hidden.bias"),
                       parameters.get(name + "feed_forward.output.weight"),
                       parameters.get(name + "feed_forward.output.bias")});
  }
  norm_weight_ = parameters.get("encoder.final_norm.weight");
  norm_bias_ = parameters.get("encoder.final_norm.bias");
  if (shape_.labels != data::LabelKind::kPerToken) {
    hidden_weight_ = parameters.get("head.hidden.weight");
    hidden_bias_ = parameters.get("head.hidden.bias");
  }
  if (shape_.masked_language) {
    transform_weight_ = parameters.get("head.transform.weight");
    transform_bias_ = parameters.get("head.transform.bias");
    transform_norm_weight_ = parameters.get("head.norm.weight");
    transform_norm_bias_ = parameters.get("head.norm.bias");
    logits_weight_ = token_embedding_;
  } else {
    logits_weight_ = parameters.get("head.output.weight");
  }
  logits_bias_ = parameters.get("head.output.bias");
}

Encoder::~Encoder() = default;

void Encoder::check(const EncoderInput& input) const {
  const auto batch = static_cast<std::int64_t>(input.sample_ids.size());
  const at::Tensor& tokens = input.tokens;
  if (!tokens.defined() || tokens.dim() != 2 || tokens.scalar_type() != at::kLong ||
      tokens.size(0) != batch || batch == 0) {
    throw InternalError("encoder input: expected tokens int64 [batch, tokens] for " +
                        std::to_string(batch) + " sample ids (at least one)");
  }
  if (tokens.size(1) < 1 || tokens.size(1) > model_.max_length()) {
    throw InternalError("encoder input: expected 1 to model.max_length (" +
                        std::to_string(model_.max_length()) + ") tokens a row, found " +
                        std::to_string(tokens.size(1)));
  }
  if (!input.valid.defined() || input.valid.scalar_type() != at::kBool ||
      input.valid.sizes() != tokens.sizes()) {
    throw InternalError("encoder input: expected valid to be bool, of the shape of tokens");
  }
  if (!input.valid.any(1).all().item<bool>()) {
    throw InternalError(
        "encoder input: expected each sample to have a token, found one of padding");
  }
  if (shape_.parts == SampleParts::kSegments) require_first_lengths(input);
}

at::Tensor Encoder::embed(const EncoderInput& input) const {
  at::Tensor hidden = at::embedding(token_embedding_, input.tokens);
  if (position_embedding_.defined()) {
    hidden = hidden + position_embedding_.narrow(0, 0, input.tokens.size(1));
  }
  if (segment_embedding_.defined()) {
    const at::Tensor places = at::arange(input.tokens.size(1), input.tokens.options());
    const at::Tensor segments = places.unsqueeze(0).ge(input.first_lengths.unsqueeze(1));
    hidden = hidden + at::embedding(segment_embedding_, segments.to(at::kLong));
  }
  if (!input.training || model_.dropout() == 0.0) return hidden;
  return kernels::torch::keyed_dropout(
      hidden, sample_keys(input, StreamPurpose::kEmbeddingDropout, 0, 0), model_.dropout());
}

at::Tensor Encoder::feed_forward(const Block& block, const at::Tensor& hidden,
                                 const EncoderInput& input, std::int64_t layer) const {
  const at::Tensor inner =
      residual_dropout(at::gelu(at::linear(hidden, block.hidden_weight, block.hidden_bias)),
                       model_.dropout(), input, layer, DropoutSite::kFeedForwardHidden);
  return residual_dropout(at::linear(inner, block.output_weight, block.output_bias),
                          model_.dropout(), input, layer, DropoutSite::kFeedForward);
}

at::Tensor Encoder::encode(const EncoderInput& input, const LayerVisitor& visit) const {
  at::Tensor hidden = embed(input);
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const Block& block = blocks_[i];
    const auto layer = static_cast<std::int64_t>(i);
    const AttentionLayerOutput attention = block.attention.forward(
        norm(hidden, block.attention_norm_weight, block.attention_norm_bias), input);
    visit(attention);
    hidden = hidden + residual_dropout(attention.output, model_.dropout(), input, layer,
                                       DropoutSite::kAttention);
    hidden = hidden +
             feed_forward(
                 block, norm(hidden, block.feed_forward_norm_weight, block.feed_forward_norm_bias),
                 input, layer);
  }
  return norm(hidden, norm_weight_, norm_bias_);
}

at::Tensor Encoder::masked_language_head(const at::Tensor& hidden) const {
  const at::Tensor features = norm(at::gelu(at::linear(hidden, transform_weight_, transform_bias_)),
                                   transform_norm_weight_, transform_norm_bias_);
  return at::linear(features, logits_weight_, logits_bias_);
}

at::Tensor Encoder::head(const at::Tensor& hidden, const EncoderInput& input) const {
  if (shape_.masked_language) {
    const at::Tensor& places = input.places;
    if (!places.defined() || places.dim() != 1 || places.scalar_type() != at::kLong) {
      throw InternalError("encoder input: expected places int64 [targets] for masked language");
    }
    return masked_language_head(hidden.flatten(0, 1).index_select(0, places));
  }
  if (shape_.labels == data::LabelKind::kPerToken) {
    return at::linear(hidden, logits_weight_, logits_bias_);
  }
  const at::Tensor shown = input.valid.to(at::kFloat);
  const at::Tensor count = model_.pooled_length() > 0
                               ? at::full({1, 1}, model_.pooled_length(), shown.options())
                               : shown.sum(1, true);
  const at::Tensor weights = (shown / count).unsqueeze(1);
  at::Tensor pooled = at::matmul(weights, hidden).squeeze(1);
  if (shape_.parts == SampleParts::kDocuments) {
    const std::vector<at::Tensor> x = pooled.unflatten(0, {-1, 2}).unbind(1);
    pooled = at::cat({x[0], x[1], x[0] * x[1], x[0] - x[1]}, 1);
  }
  return at::linear(at::relu(at::linear(pooled, hidden_weight_, hidden_bias_)), logits_weight_,
                    logits_bias_);
}

void Encoder::put_on_device(EncoderInput& input) const {
  input.unpadded = input.valid.all().item<bool>();
  for (at::Tensor* tensor : {&input.tokens, &input.valid, &input.first_lengths, &input.places}) {
    *tensor = upload(*tensor, device());
  }
}

PreparedInput Encoder::prepare(const EncoderInput& input) const {
  PreparedInput prepared;
  if (shape_.parts == SampleParts::kDocuments) {
    prepared = split_documents(input, model_.max_length());
  } else {
    prepared.input = input;
  }
  prepared.input.valid = shown_tokens(model_, prepared.input);
  check(prepared.input);
  put_on_device(prepared.input);
  return prepared;
}

EncoderOutput Encoder::forward(const EncoderInput& input) const { return forward(prepare(input)); }

EncoderOutput Encoder::forward(const PreparedInput& prepared) const {
  const bool apart = shape_.parts == SampleParts::kDocuments;
  const EncoderInput& sequences = prepared.input;
  std::vector<at::Tensor> densities;
  std::vector<at::Tensor> counts;
  const at::Tensor hidden = encode(sequences, [&](const AttentionLayerOutput& attention) {
    densities.push_back(attention.expected_density);
    counts.push_back(attention.edge_counts);
  });
  EncoderOutput output = {head(hidden, sequences), at::stack(densities), at::stack(counts),
                          sequences.valid};
  if (apart) {
    output.expected_density = output.expected_density.unflatten(1, {-1, 2}).mean(2);
    output.edge_counts = output.edge_counts.unflatten(1, {-1, 2}).sum(2);
  }
  return output;
}

std::vector<Memberships> Encoder::memberships(const EncoderInput& input) const {
  std::vector<Memberships> layers;
  if (model_.attention().type() == Attention::FULL) return layers;
  EncoderInput shown = input;
  shown.valid = shown_tokens(model_, input);
  check(shown);
  put_on_device(shown);
  static_cast<void>(encode(shown, [&](const AttentionLayerOutput& attention) {
    layers.push_back(attention.memberships);
  }));
  return layers;
}

}  // namespace sbm::trainer
