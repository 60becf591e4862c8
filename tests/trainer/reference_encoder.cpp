#include "tests/trainer/reference_encoder.h"

#include <cmath>
#include <numbers>
#include <numeric>

#include "kernels/reference/attention.h"

namespace sbm::trainer::testing_support {
namespace {

using kernels::reference::product;
using kernels::reference::transposed;

class Reference {
 public:
  Reference(const Model& model, const Weights& weights, const Dropout& dropout)
      : model_(model), weights_(weights), dropout_(dropout) {}

  void drop(Matrix& hidden, StreamPurpose purpose, std::size_t layer, std::uint32_t site) const {
    if (!dropout_) return;
    StreamId stream;
    stream.purpose = purpose;
    stream.layer = static_cast<std::uint32_t>(layer);
    stream.site = site;
    dropout_(hidden, stream);
  }

  [[nodiscard]] Matrix linear(const Matrix& input, const std::string& name) const {
    const std::vector<double>& bias = weights_.at(name + ".bias");
    const std::vector<double>& weight = weights_.at(name + ".weight");
    const auto outputs = static_cast<std::int64_t>(bias.size());
    Matrix result(input.rows(), outputs);
    for (std::int64_t i = 0; i < input.rows(); ++i) {
      for (std::int64_t o = 0; o < outputs; ++o) {
        double sum = bias[static_cast<std::size_t>(o)];
        for (std::int64_t c = 0; c < input.columns(); ++c) {
          sum += input(i, c) * weight[static_cast<std::size_t>(o * input.columns() + c)];
        }
        result(i, o) = sum;
      }
    }
    return result;
  }

  [[nodiscard]] Matrix norm(const Matrix& input, const std::string& name) const {
    const std::vector<double>& weight = weights_.at(name + ".weight");
    const std::vector<double>& bias = weights_.at(name + ".bias");
    const auto width = static_cast<double>(input.columns());
    Matrix result = input;
    for (std::int64_t i = 0; i < input.rows(); ++i) {
      double mean = 0.0;
      double variance = 0.0;
      for (std::int64_t c = 0; c < input.columns(); ++c) mean += input(i, c) / width;
      for (std::int64_t c = 0; c < input.columns(); ++c) {
        variance += (input(i, c) - mean) * (input(i, c) - mean) / width;
      }
      for (std::int64_t c = 0; c < input.columns(); ++c) {
        const auto at = static_cast<std::size_t>(c);
        result(i, c) = (input(i, c) - mean) / std::sqrt(variance + 1e-5) * weight[at] + bias[at];
      }
    }
    return result;
  }

  [[nodiscard]] Matrix embed(const std::vector<std::int64_t>& tokens) const {
    const std::int64_t width = model_.embedding_dim();
    const std::vector<double>& token = weights_.at("encoder.token_embedding.weight");
    Matrix result(static_cast<std::int64_t>(tokens.size()), width);
    for (std::int64_t i = 0; i < result.rows(); ++i) {
      for (std::int64_t c = 0; c < width; ++c) {
        result(i, c) =
            token[static_cast<std::size_t>(tokens[static_cast<std::size_t>(i)] * width + c)];
        if (model_.learned_positions()) {
          result(i, c) += weights_.at(
              "encoder.position_embedding.weight")[static_cast<std::size_t>(i * width + c)];
        }
      }
    }
    return result;
  }

  /// P of one head from its queries and keys.
  [[nodiscard]] Matrix probability(const Matrix& query, const Matrix& key, std::int64_t head,
                                   const std::string& name) const {
    const std::int64_t clusters = model_.attention().clusters();
    Matrix embedding(clusters, model_.head_dim());
    const std::vector<double>& all = weights_.at(name + ".cluster_embedding");
    for (std::size_t i = 0; i < embedding.values().size(); ++i) {
      embedding.values()[i] = all[static_cast<std::size_t>(head) * embedding.values().size() + i];
    }
    Matrix block = product(embedding, transposed(embedding));
    double sum = 0.0;
    for (double& value : block.values()) sum += value = std::exp(value);
    for (double& value : block.values()) value /= sum;
    const auto membership = [&](const Matrix& input) {
      Matrix hidden = linear(input, name + ".membership.hidden");
      for (double& value : hidden.values()) value = std::max(value, 0.0);
      Matrix result = product(linear(hidden, name + ".membership.output"), transposed(embedding));
      for (double& value : result.values()) value = 1.0 / (1.0 + std::exp(-value));
      return result;
    };
    return product(product(membership(query), block), transposed(membership(key)));
  }

  [[nodiscard]] Matrix attention(const Matrix& hidden, const std::string& name,
                                 const std::vector<Matrix>& masks,
                                 std::vector<Matrix>& probabilities) const {
    const Matrix query = linear(hidden, name + ".query");
    const Matrix key = linear(hidden, name + ".key");
    const Matrix value = linear(hidden, name + ".value");
    const std::int64_t width = model_.head_dim();
    Matrix heads(hidden.rows(), model_.heads() * width);
    for (std::int64_t head = 0; head < model_.heads(); ++head) {
      kernels::reference::AttentionInput input;
      input.query = columns(query, head * width, width);
      input.key = columns(key, head * width, width);
      input.value = columns(value, head * width, width);
      input.mask = masks[static_cast<std::size_t>(head)];
      input.scale = 1.0 / std::sqrt(static_cast<double>(width));
      const Matrix output = kernels::reference::attention_forward(input).output;
      for (std::int64_t i = 0; i < output.rows(); ++i) {
        for (std::int64_t c = 0; c < width; ++c) heads(i, head * width + c) = output(i, c);
      }
      if (model_.attention().type() == Attention::SBM) {
        probabilities.push_back(probability(input.query, input.key, head, name));
      }
    }
    return linear(heads, name + ".output");
  }

  [[nodiscard]] Matrix feed_forward(const Matrix& hidden, const std::string& name,
                                    std::size_t layer) const {
    Matrix inner = linear(hidden, name + ".hidden");
    for (double& value : inner.values()) {
      value *= 0.5 * (1.0 + std::erf(value / std::numbers::sqrt2));
    }
    drop(inner, StreamPurpose::kResidualDropout, layer, 1);
    Matrix output = linear(inner, name + ".output");
    drop(output, StreamPurpose::kResidualDropout, layer, 2);
    return output;
  }

  void add_segments(Matrix& hidden, std::int64_t first_length) const {
    const std::vector<double>& segment = weights_.at("encoder.segment_embedding.weight");
    for (std::int64_t i = 0; i < hidden.rows(); ++i) {
      const std::int64_t row = i < first_length ? 0 : 1;
      for (std::int64_t c = 0; c < hidden.columns(); ++c) {
        hidden(i, c) += segment[static_cast<std::size_t>(row * hidden.columns() + c)];
      }
    }
  }

  [[nodiscard]] static Matrix mean(const Matrix& hidden) {
    Matrix pooled(1, hidden.columns());
    for (std::int64_t i = 0; i < hidden.rows(); ++i) {
      for (std::int64_t c = 0; c < hidden.columns(); ++c) {
        pooled(0, c) += hidden(i, c) / static_cast<double>(hidden.rows());
      }
    }
    return pooled;
  }

  [[nodiscard]] Matrix head(const Matrix& features) const {
    Matrix inner = linear(features, "head.hidden");
    for (double& value : inner.values()) value = std::max(value, 0.0);
    return linear(inner, "head.output");
  }

  /// Logits of every token. `output` names the weights of the last product.
  [[nodiscard]] Matrix masked_language_head(const Matrix& hidden, const std::string& output) const {
    Matrix inner = linear(hidden, "head.transform");
    for (double& value : inner.values()) {
      value *= 0.5 * (1.0 + std::erf(value / std::numbers::sqrt2));
    }
    inner = norm(inner, "head.norm");
    const std::vector<double>& bias = weights_.at("head.output.bias");
    const std::vector<double>& weight = weights_.at(output);
    Matrix logits(inner.rows(), static_cast<std::int64_t>(bias.size()));
    for (std::int64_t i = 0; i < logits.rows(); ++i) {
      for (std::int64_t o = 0; o < logits.columns(); ++o) {
        double sum = bias[static_cast<std::size_t>(o)];
        for (std::int64_t c = 0; c < inner.columns(); ++c) {
          sum += inner(i, c) * weight[static_cast<std::size_t>(o * inner.columns() + c)];
        }
        logits(i, o) = sum;
      }
    }
    return logits;
  }

 private:
  static Matrix columns(const Matrix& matrix, std::int64_t begin, std::int64_t count) {
    Matrix result(matrix.rows(), count);
    for (std::int64_t i = 0; i < matrix.rows(); ++i) {
      for (std::int64_t c = 0; c < count; ++c) result(i, c) = matrix(i, begin + c);
    }
    return result;
  }

  const Model& model_;
  const Weights& weights_;
  const Dropout& dropout_;
};

void add(Matrix& to, const Matrix& more) {
  for (std::size_t i = 0; i < to.values().size(); ++i) to.values()[i] += more.values()[i];
}

/// The normed hidden states.
Matrix encode(const Reference& reference, Matrix hidden, const Masks& masks,
              std::vector<std::vector<Matrix>>& probabilities) {
  reference.drop(hidden, StreamPurpose::kEmbeddingDropout, 0, 0);
  for (std::size_t layer = 0; layer < masks.size(); ++layer) {
    const std::string name = "encoder.layers." + std::to_string(layer);
    probabilities.emplace_back();
    Matrix attention = reference.attention(reference.norm(hidden, name + ".attention_norm"),
                                           name + ".attention", masks[layer], probabilities.back());
    reference.drop(attention, StreamPurpose::kResidualDropout, layer, 0);
    add(hidden, attention);
    add(hidden, reference.feed_forward(reference.norm(hidden, name + ".feed_forward_norm"),
                                       name + ".feed_forward", layer));
  }
  return reference.norm(hidden, "encoder.final_norm");
}

}  // namespace

Weights copy_weights(const ModelParameters& parameters) {
  Weights weights;
  for (const auto& entry : parameters.layout().entries()) {
    const auto values = parameters.weights().subspan(static_cast<std::size_t>(entry.range.begin),
                                                     static_cast<std::size_t>(entry.range.size()));
    weights[entry.spec.name] = std::vector<double>(values.begin(), values.end());
  }
  return weights;
}

Masks full_masks(const Model& model, std::int64_t tokens) {
  const std::vector<Matrix> layer(static_cast<std::size_t>(model.heads()),
                                  Matrix(tokens, tokens, 1.0));
  return Masks(static_cast<std::size_t>(model.layers()), layer);
}

Masks masks_of(const Model& model, const std::vector<MaskPicture>& pictures) {
  Masks masks = full_masks(model, pictures.front().tokens);
  for (const MaskPicture& picture : pictures) {
    Matrix& mask =
        masks[static_cast<std::size_t>(picture.layer)][static_cast<std::size_t>(picture.head)];
    for (std::size_t i = 0; i < picture.mask.size(); ++i) mask.values()[i] = picture.mask[i];
  }
  return masks;
}

double ReferenceOutput::density(std::size_t layer, std::size_t head) const {
  const std::vector<double>& cells = probabilities[layer][head].values();
  return std::accumulate(cells.begin(), cells.end(), 0.0) / static_cast<double>(cells.size());
}

ReferenceOutput reference_encoder(const Model& model, const ModelShape& shape,
                                  const Weights& weights, const std::vector<std::int64_t>& tokens,
                                  const Masks& masks, const Dropout& dropout,
                                  std::int64_t first_length) {
  const Reference reference(model, weights, dropout);
  ReferenceOutput result;
  Matrix hidden = reference.embed(tokens);
  if (shape.parts == SampleParts::kSegments) reference.add_segments(hidden, first_length);
  hidden = encode(reference, std::move(hidden), masks, result.probabilities);
  if (shape.masked_language) {
    const bool tied = !weights.contains(kUntiedOutput);
    result.logits =
        reference
            .masked_language_head(hidden, tied ? "encoder.token_embedding.weight" : kUntiedOutput)
            .values();
    return result;
  }
  result.logits = shape.labels == data::LabelKind::kPerToken
                      ? reference.linear(hidden, "head.output").values()
                      : reference.head(Reference::mean(hidden)).values();
  return result;
}

std::vector<double> reference_comparison(const Model& model, const Weights& weights,
                                         const std::vector<std::int64_t>& first,
                                         const Masks& first_masks,
                                         const std::vector<std::int64_t>& second,
                                         const Masks& second_masks) {
  const Dropout none;
  const Reference reference(model, weights, none);
  std::vector<std::vector<Matrix>> unused;
  const Matrix x = Reference::mean(encode(reference, reference.embed(first), first_masks, unused));
  const Matrix y =
      Reference::mean(encode(reference, reference.embed(second), second_masks, unused));
  const std::int64_t width = x.columns();
  Matrix features(1, 4 * width);
  for (std::int64_t c = 0; c < width; ++c) {
    features(0, c) = x(0, c);
    features(0, width + c) = y(0, c);
    features(0, 2 * width + c) = x(0, c) * y(0, c);
    features(0, 3 * width + c) = x(0, c) - y(0, c);
  }
  return reference.head(features).values();
}
double reference_cross_entropy(const std::vector<double>& logits, std::size_t target) {
  double sum = 0.0;
  for (const double logit : logits) sum += std::exp(logit);
  return std::log(sum) - logits[target];
}

}  // namespace sbm::trainer::testing_support
