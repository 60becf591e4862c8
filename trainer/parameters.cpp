#include "trainer/parameters.h"

#include <ATen/ATen.h>

#include <cmath>
#include <memory>
#include <utility>

#include "base/error.h"
#include "distributed/aligned_buffer.h"
#include "trainer/initialisation.h"

namespace sbm::trainer {
namespace {

using distributed::ParameterSpec;

constexpr std::int64_t kSegments = 2;
/// The head compares two documents by x0, x1, x0 * x1 and x0 - x1.
constexpr std::int64_t kDocumentFeatures = 4;

/// A parameter and how it starts.
struct Parameter {
  ParameterSpec spec;
  Initial initial;
};

/// Lists parameters in order.
class Listing {
 public:
  /// PyTorch's default of nn.Linear, which the published code keeps: weight and bias uniform within
  /// 1 / sqrt(inputs).
  void linear(const std::string& name, std::int64_t inputs, std::int64_t outputs) {
    const Initial initial = {Initial::Law::kUniform, 1.0 / std::sqrt(static_cast<double>(inputs))};
    parameters_.push_back({{name + ".weight", {outputs, inputs}, true}, initial});
    parameters_.push_back({{name + ".bias", {outputs}, false}, initial});
  }

  void constant(const std::string& name, std::int64_t width, double value) {
    parameters_.push_back({{name, {width}, false}, {Initial::Law::kConstant, value}});
  }

  void norm(const std::string& name, std::int64_t width) {
    constant(name + ".weight", width, 1.0);
    constant(name + ".bias", width, 0.0);
  }

  void embedding(const std::string& name, std::vector<std::int64_t> shape, double deviation) {
    parameters_.push_back({{name, std::move(shape), false}, {Initial::Law::kNormal, deviation}});
  }

  [[nodiscard]] std::vector<Parameter> take() { return std::move(parameters_); }

 private:
  std::vector<Parameter> parameters_;
};

void list_attention(Listing& listing, const std::string& name, const Model& model) {
  const std::int64_t heads = model.heads();
  const std::int64_t head_dim = model.head_dim();
  listing.linear(name + ".query", model.embedding_dim(), heads * head_dim);
  listing.linear(name + ".key", model.embedding_dim(), heads * head_dim);
  listing.linear(name + ".value", model.embedding_dim(), heads * head_dim);
  if (model.attention().type() == Attention::SBM) {
    const std::int64_t clusters = model.attention().clusters();
    // kaiming_normal_ takes all but the first dimension for the inputs: k d of them.
    listing.embedding(name + ".cluster_embedding", {heads, clusters, head_dim},
                      std::sqrt(2.0 / static_cast<double>(clusters * head_dim)));
    listing.linear(name + ".membership.hidden", head_dim, head_dim);
    listing.linear(name + ".membership.output", head_dim, head_dim);
  }
  listing.linear(name + ".output", heads * head_dim, model.embedding_dim());
}

// The output layer of google-research/bert (run_pretraining.py, get_masked_lm_output): a transform
// of the width, GELU, a norm, then the token embeddings and a bias a piece that starts at 0.
void list_masked_language_head(Listing& listing, const Model& model, const ModelShape& shape) {
  listing.linear("head.transform", model.embedding_dim(), model.embedding_dim());
  listing.norm("head.norm", model.embedding_dim());
  listing.constant("head.output.bias", shape.vocabulary, 0.0);
}

void list_head(Listing& listing, const Model& model, const ModelShape& shape) {
  const bool documents = shape.parts == SampleParts::kDocuments;
  switch (shape.labels) {
    case data::LabelKind::kClass:
    case data::LabelKind::kScore: {
      const std::int64_t hidden =
          model.head_hidden_dim() > 0 ? model.head_hidden_dim() : model.feed_forward_dim();
      const std::int64_t features = documents ? kDocumentFeatures : 1;
      listing.linear("head.hidden", features * model.embedding_dim(), hidden);
      listing.linear("head.output", hidden, shape.classes);
      return;
    }
    case data::LabelKind::kPerToken:
      if (documents) break;
      if (shape.masked_language) return list_masked_language_head(listing, model, shape);
      listing.linear("head.output", model.embedding_dim(), shape.classes);
      return;
    case data::LabelKind::kNone:
      break;
  }
  throw ConfigError(
      "task: expected data with a class or a score for each sample, or a class for each token of "
      "one sequence, found neither");
}

std::vector<Parameter> list_parameters(const Model& model, const ModelShape& shape) {
  Listing listing;
  const std::int64_t width = model.embedding_dim();
  const double deviation = model.embedding_std();
  listing.embedding("encoder.token_embedding.weight", {shape.vocabulary, width}, deviation);
  if (model.learned_positions()) {
    listing.embedding("encoder.position_embedding.weight", {model.max_length(), width}, deviation);
  }
  if (shape.parts == SampleParts::kSegments) {
    listing.embedding("encoder.segment_embedding.weight", {kSegments, width}, deviation);
  }
  for (std::int64_t layer = 0; layer < model.layers(); ++layer) {
    const std::string name = "encoder.layers." + std::to_string(layer);
    listing.norm(name + ".attention_norm", width);
    list_attention(listing, name + ".attention", model);
    listing.norm(name + ".feed_forward_norm", width);
    listing.linear(name + ".feed_forward.hidden", width, model.feed_forward_dim());
    listing.linear(name + ".feed_forward.output", model.feed_forward_dim(), width);
  }
  listing.norm("encoder.final_norm", width);
  list_head(listing, model, shape);
  return listing.take();
}

at::Tensor view(float* flat, const distributed::FlatLayout::Entry& entry, at::Device device) {
  return at::from_blob(flat + entry.range.begin, entry.spec.shape,
                       at::TensorOptions(at::kFloat).device(device));
}

// Ranks gather the updated weights into this memory.
at::Tensor zeros_in_lasting_memory(std::int64_t size) {
  auto buffer = std::make_shared<distributed::AlignedBuffer>(static_cast<std::size_t>(size));
  float* data = buffer->data();
  return at::from_blob(
      data, {size}, [buffer = std::move(buffer)](void*) {}, at::kFloat);
}

}  // namespace

std::vector<ParameterSpec> parameter_specs(const Model& model, const ModelShape& shape) {
  std::vector<ParameterSpec> specs;
  for (Parameter& parameter : list_parameters(model, shape)) {
    specs.push_back(std::move(parameter.spec));
  }
  return specs;
}

ModelParameters::ModelParameters(const Model& model, const ModelShape& shape, std::uint64_t seed,
                                 at::Device device)
    : shape_(shape),
      layout_(parameter_specs(model, shape)),
      flat_(zeros_in_lasting_memory(layout_.size())) {
  auto* flat = flat_.mutable_data_ptr<float>();
  if (reinterpret_cast<std::uintptr_t>(flat) % 64 != 0) {
    throw InternalError("weights: expected memory aligned to 64 bytes");
  }
  const std::vector<Parameter> parameters = list_parameters(model, shape);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto& entry = layout_.entries()[i];
    initialise(entry.spec.name, parameters[i].initial, seed,
               weights().subspan(static_cast<std::size_t>(entry.range.begin),
                                 static_cast<std::size_t>(entry.range.size())));
  }
  used_ = flat_.to(device);
  for (const auto& entry : layout_.entries()) {
    views_[entry.spec.name] =
        view(used_.mutable_data_ptr<float>(), entry, used_.device()).set_requires_grad(true);
  }
}

void ModelParameters::send() {
  if (!used_.is_same(flat_)) used_.copy_(flat_);
}

std::span<float> ModelParameters::weights() {
  return {flat_.mutable_data_ptr<float>(), static_cast<std::size_t>(layout_.size())};
}

std::span<const float> ModelParameters::weights() const {
  return {flat_.const_data_ptr<float>(), static_cast<std::size_t>(layout_.size())};
}

const at::Tensor& ModelParameters::get(const std::string& name) const {
  const auto found = views_.find(name);
  if (found == views_.end()) throw InternalError("parameter " + name + ": there is none");
  return found->second;
}

void ModelParameters::bind_gradients(std::span<float> gradient) {
  if (std::cmp_not_equal(gradient.size(), layout_.size())) {
    throw InternalError("gradient buffer: expected " + std::to_string(layout_.size()) +
                        " elements, found " + std::to_string(gradient.size()));
  }
  for (const auto& entry : layout_.entries()) {
    views_.at(entry.spec.name).mutable_grad() = view(gradient.data(), entry, used_.device());
  }
}

}  // namespace sbm::trainer
