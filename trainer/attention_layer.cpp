#include "trainer/attention_layer.h"

#include <ATen/ATen.h>

#include <string>

#include "base/error.h"
#include "trainer/random_keys.h"

namespace sbm::trainer {
namespace {

kernels::MaskLaw law_of(Attention::Law law) {
  return law == Attention::POISSON ? kernels::MaskLaw::kPoisson : kernels::MaskLaw::kBernoulli;
}

kernels::SelfLoops self_loops_of(Attention::SelfLoops self_loops) {
  switch (self_loops) {
    case Attention::ADD:
      return kernels::SelfLoops::kAdd;
    case Attention::REMOVE:
      return kernels::SelfLoops::kRemove;
    case Attention::NONE:
      return kernels::SelfLoops::kNone;
  }
  throw InternalError("model.attention.self_loops: a value that config.proto does not have");
}

kernels::Estimator estimator_of(Attention::Estimator estimator) {
  switch (estimator) {
    case Attention::PAPER:
      return kernels::Estimator::kPaper;
    case Attention::REFERENCE:
      return kernels::Estimator::kReference;
    case Attention::TRAPEZOID:
      return kernels::Estimator::kTrapezoid;
  }
  throw InternalError("model.attention.estimator: a value that config.proto does not have");
}

kernels::AttentionPath path_of(Attention::Path path) {
  switch (path) {
    case Attention::AUTO:
      return kernels::AttentionPath::kAuto;
    case Attention::DENSE:
      return kernels::AttentionPath::kDense;
    case Attention::SPARSE:
      return kernels::AttentionPath::kSparse;
  }
  throw InternalError("model.attention.path: a value that config.proto does not have");
}

}  // namespace

kernels::torch::SbmAttentionOptions attention_options(const Attention& attention,
                                                      MaskControl control, bool training) {
  kernels::torch::SbmAttentionOptions options;
  options.law =
      control == MaskControl::kFull ? kernels::MaskLaw::kBernoulli : law_of(attention.law());
  options.self_loops = self_loops_of(attention.self_loops());
  options.exploration = attention.exploration();
  // An evaluation has no gradient that probes would serve.
  options.estimator = training ? estimator_of(attention.estimator()) : kernels::Estimator::kPaper;
  options.clip = attention.clip();
  options.probe_rate =
      options.estimator == kernels::Estimator::kTrapezoid ? attention.probe_rate() : 0.0;
  options.dropout = training ? attention.dropout() : 0.0;
  options.path = path_of(attention.path());
  options.dense_from = attention.dense_from();
  options.bf16_memberships = attention.bf16_memberships();
  return options;
}

AttentionLayer::AttentionLayer(const Model& model, const ModelParameters& parameters,
                               std::int64_t layer)
    : options_(model.attention()),
      heads_(model.heads()),
      head_dim_(model.head_dim()),
      layer_(layer) {
  const std::string name = "encoder.layers." + std::to_string(layer) + ".attention.";
  query_weight_ = parameters.get(name + "query.weight");
  query_bias_ = parameters.get(name + "query.bias");
  key_weight_ = parameters.get(name + "key.weight");
  key_bias_ = parameters.get(name + "key.bias");
  value_weight_ = parameters.get(name + "value.weight");
  value_bias_ = parameters.get(name + "value.bias");
  output_weight_ = parameters.get(name + "output.weight");
  output_bias_ = parameters.get(name + "output.bias");
  if (options_.type() == Attention::SBM) {
    clusters_ = parameters.get(name + "cluster_embedding");
    hidden_weight_ = parameters.get(name + "membership.hidden.weight");
    hidden_bias_ = parameters.get(name + "membership.hidden.bias");
    membership_weight_ = parameters.get(name + "membership.output.weight");
    membership_bias_ = parameters.get(name + "membership.output.bias");
  }
}

at::Tensor AttentionLayer::split_heads(const at::Tensor& hidden, const at::Tensor& weight,
                                       const at::Tensor& bias) const {
  return at::linear(hidden, weight, bias)
      .view({hidden.size(0), hidden.size(1), heads_, head_dim_})
      .transpose(1, 2);
}

at::Tensor AttentionLayer::membership(const at::Tensor& heads) const {
  // g works on [batch, tokens, heads, head_dim], the layout in which a projection lies in memory.
  const at::Tensor hidden =
      at::relu(at::linear(heads.transpose(1, 2), hidden_weight_, hidden_bias_));
  const at::Tensor position = at::linear(hidden, membership_weight_, membership_bias_);
  return at::matmul(position.transpose(1, 2), clusters_.transpose(-1, -2)).sigmoid();
}

at::Tensor AttentionLayer::block_matrix() const {
  const at::Tensor similarity = at::matmul(clusters_, clusters_.transpose(-1, -2));
  return similarity.flatten(1).softmax(-1).view(similarity.sizes());
}

AttentionLayerOutput AttentionLayer::sbm_attention(const at::Tensor& query, const at::Tensor& key,
                                                   const at::Tensor& value,
                                                   const EncoderInput& input) const {
  const at::Tensor valid = input.valid.to(at::kFloat);
  const Memberships learned = {membership(query), membership(key), block_matrix()};
  AttentionLayerOutput result;
  result.expected_density = expected_density(learned, valid);
  // The sampler would only see a NaN; here it still has a meaning. The density sums over every
  // membership, so it is finite exactly when all of them are. Looking at it would stop a device:
  // there whoever reads the results looks.
  if (query.is_cpu() && !result.expected_density.isfinite().all().item<bool>()) {
    throw DivergenceError("layer " + std::to_string(layer_) +
                          ": expected finite memberships, found NaN or infinity");
  }
  result.memberships = controlled_memberships(learned, valid, input.mask);
  const auto options = attention_options(options_, input.mask, input.training);
  std::optional<at::Tensor> dropout_keys;
  if (options.dropout > 0.0) {
    dropout_keys = graph_keys(input, StreamPurpose::kAttentionDropout, layer_, heads_);
  }
  std::optional<at::Tensor> probe_keys;
  if (options.estimator == kernels::Estimator::kTrapezoid) {
    probe_keys = graph_keys(input, StreamPurpose::kProbe, layer_, heads_);
  }
  const auto attention = kernels::torch::sbm_attention(
      query, key, value, result.memberships.query, result.memberships.key, result.memberships.block,
      input.valid, input.valid, mask_keys(input, layer_, heads_), probe_keys, dropout_keys,
      std::nullopt, options);
  result.output = attention.output;
  result.edge_counts = attention.edge_counts;
  return result;
}

AttentionLayerOutput AttentionLayer::full_attention(const at::Tensor& query, const at::Tensor& key,
                                                    const at::Tensor& value,
                                                    const EncoderInput& input) const {
  std::optional<at::Tensor> key_mask;
  if (!input.unpadded) key_mask = input.valid.unsqueeze(1).unsqueeze(1);
  AttentionLayerOutput result;
  result.output = at::scaled_dot_product_attention(query, key, value, key_mask).transpose(1, 2);
  result.expected_density =
      at::ones({query.size(0), heads_}, query.options().dtype(at::kFloat).requires_grad(false));
  const at::Tensor lengths = input.valid.sum(1);
  const at::Tensor cells = lengths * lengths;
  result.edge_counts = at::stack({cells, at::zeros_like(cells), cells}, -1)
                           .unsqueeze(1)
                           .expand({query.size(0), heads_, 3});
  return result;
}

AttentionLayerOutput AttentionLayer::forward(const at::Tensor& hidden,
                                             const EncoderInput& input) const {
  const at::Tensor query = split_heads(hidden, query_weight_, query_bias_);
  const at::Tensor key = split_heads(hidden, key_weight_, key_bias_);
  const at::Tensor value = split_heads(hidden, value_weight_, value_bias_);
  AttentionLayerOutput result = options_.type() == Attention::FULL
                                    ? full_attention(query, key, value, input)
                                    : sbm_attention(query, key, value, input);
  result.output = at::linear(result.output.flatten(2), output_weight_, output_bias_);
  return result;
}

}  // namespace sbm::trainer
