#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/random_stream.h"
#include "kernels/reference/attention_matrix.h"
#include "trainer/config.pb.h"
#include "trainer/parameters.h"
#include "trainer/report.h"

// The encoder once more, in double, for one sample without padding, from formulas and plain loops:
// the referee of trainer/encoder.h. No attention dropout.
namespace sbm::trainer::testing_support {

using kernels::reference::Matrix;

/// All weights in double, by name.
using Weights = std::map<std::string, std::vector<double>>;

Weights copy_weights(const ModelParameters& parameters);

/// Weights with this name, [vocabulary, width], take the place of the token embeddings in the
/// output of masked language: so each use of the tied ones can be moved by itself.
inline constexpr char kUntiedOutput[] = "untied output";

/// Masks by [layer][head], each [tokens, tokens].
using Masks = std::vector<std::vector<Matrix>>;

Masks full_masks(const Model& model, std::int64_t tokens);
Masks masks_of(const Model& model, const std::vector<MaskPicture>& pictures);

struct ReferenceOutput {
  /// [classes] or [tokens * classes]; of masked language for every token, masked or not.
  std::vector<double> logits;
  /// P by [layer][head], [tokens, tokens]; SBM only.
  std::vector<std::vector<Matrix>> probabilities;

  /// Mean of P of a graph.
  [[nodiscard]] double density(std::size_t layer, std::size_t head) const;
};

/// What dropout does to the activations [tokens, features] of a stream; see random_keys.h.
using Dropout = std::function<void(Matrix& hidden, const StreamId& stream)>;

/// `dropout` may be empty: evaluation. `first_length` counts for kSegments alone.
ReferenceOutput reference_encoder(const Model& model, const ModelShape& shape,
                                  const Weights& weights, const std::vector<std::int64_t>& tokens,
                                  const Masks& masks, const Dropout& dropout = {},
                                  std::int64_t first_length = 0);

/// The logits of two documents that are encoded apart.
std::vector<double> reference_comparison(const Model& model, const Weights& weights,
                                         const std::vector<std::int64_t>& first,
                                         const Masks& first_masks,
                                         const std::vector<std::int64_t>& second,
                                         const Masks& second_masks);

/// -log softmax(logits)[target].
double reference_cross_entropy(const std::vector<double>& logits, std::size_t target);

}  // namespace sbm::trainer::testing_support
