#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "trainer/config.h"
#include "trainer/encoder_input.h"
#include "trainer/parameters.h"

// Small models and random inputs for the suites of this folder.
namespace sbm::trainer::testing_support {

/// Two layers in which no two sizes are equal, without dropout; `changes` is more text for Model.
inline Model small_model(const std::string& changes = "") {
  Model model = parse_config(R"(model {
      layers: 2 heads: 2 head_dim: 8 embedding_dim: 12 feed_forward_dim: 20 max_length: 48
      dropout: 0 embedding_std: 1 head_hidden_dim: 10 attention { clusters: 5 } })",
                             "small model")
                    .model();
  model.MergeFrom(parse_config("model {" + changes + "}", "changes").model());
  return model;
}

inline ModelShape class_shape() { return {11, 4, data::LabelKind::kClass}; }
inline ModelShape token_shape() { return {11, 3, data::LabelKind::kPerToken}; }

inline ModelShape segment_shape() {
  return {11, 4, data::LabelKind::kClass, SampleParts::kSegments};
}
inline ModelShape document_shape() {
  return {11, 4, data::LabelKind::kClass, SampleParts::kDocuments};
}
inline ModelShape masked_shape() {
  return {11, 11, data::LabelKind::kPerToken, SampleParts::kOne, true};
}
inline ModelShape score_shape() { return {11, 1, data::LabelKind::kScore}; }

/// Draws every weight anew from a normal of standard deviation .4 (norms: 1 + .4 of it), so that
/// memberships and attention are far from uniform.
inline void scatter(ModelParameters& parameters, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal(0.0F, 0.4F);
  for (const auto& entry : parameters.layout().entries()) {
    const bool scale = entry.spec.name.find("norm.weight") != std::string::npos;
    for (std::int64_t i = entry.range.begin; i < entry.range.end; ++i) {
      parameters.weights()[static_cast<std::size_t>(i)] = (scale ? 1.0F : 0.0F) + normal(random);
    }
  }
}

/// Random sequences, padded to `padded` tokens.
struct Samples {
  std::vector<std::uint64_t> ids;
  std::vector<std::vector<std::int64_t>> tokens;

  Samples(const std::vector<std::int64_t>& lengths, std::int64_t vocabulary, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::uniform_int_distribution<std::int64_t> token(1, vocabulary - 1);
    for (const std::int64_t length : lengths) {
      ids.push_back(1000 * seed + ids.size());
      tokens.emplace_back();
      for (std::int64_t i = 0; i < length; ++i) tokens.back().push_back(token(random));
    }
  }

  /// Samples [first, last) as one micro-batch; the ids stay in this object.
  [[nodiscard]] EncoderInput input(std::size_t first, std::size_t last, std::int64_t padded) const {
    EncoderInput result;
    const auto batch = static_cast<std::int64_t>(last - first);
    result.tokens = at::zeros({batch, padded}, at::kLong);
    result.valid = at::zeros({batch, padded}, at::kBool);
    for (std::int64_t row = 0; row < batch; ++row) {
      const auto& sequence = tokens[first + static_cast<std::size_t>(row)];
      for (std::size_t i = 0; i < sequence.size(); ++i) {
        result.tokens[row][static_cast<std::int64_t>(i)] = sequence[i];
        result.valid[row][static_cast<std::int64_t>(i)] = true;
      }
    }
    result.sample_ids = std::span(ids).subspan(first, last - first);
    result.seed = 5;
    return result;
  }
};

/// Largest |a - b| over the largest |b|.
inline double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max().clamp_min(1e-30)).item<double>();
}

}  // namespace sbm::trainer::testing_support
