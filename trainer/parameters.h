#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/batch.h"
#include "distributed/flat_layout.h"
#include "trainer/config.pb.h"

namespace sbm::trainer {

/// What a model makes of the two parts that a sample may have.
enum class SampleParts {
  kOne,        ///< there is one part only
  kSegments,   ///< one sequence, in which an embedding tells the parts apart
  kDocuments,  ///< two sequences, encoded apart by the same encoder and compared by the head
};

/// What the data set decides about a model.
struct ModelShape {
  std::int64_t vocabulary = 0;  ///< token ids are below it
  std::int64_t classes = 0;     ///< classes of a sample, or of a token; 1 for kScore
  data::LabelKind labels = data::LabelKind::kClass;
  SampleParts parts = SampleParts::kOne;
  /// The labels of the tokens are the tokens themselves, where they were masked: the classes are
  /// the vocabulary, and the head's output weights are the token embeddings.
  bool masked_language = false;
};

/// Names, shapes and decay of a model's parameters in their documented order (docs/parameters.md).
/// Matrices decay; biases, norms, token, position and segment embeddings do not, nor do cluster
/// embeddings:
/// memberships are the sigmoid of products with them, so decay would pull every membership to 1/2.
/// Tied weights stand there once, where the encoder has them.
/// Throws ConfigError when the labels are kNone, or labels of the tokens of two documents.
std::vector<distributed::ParameterSpec> parameter_specs(const Model& model,
                                                        const ModelShape& shape);

/// The weights of a model: one flat 64-byte aligned buffer in host memory laid out by FlatLayout,
/// and a tensor view of each parameter in it. Whoever writes the buffer (optimiser, checkpoint)
/// changes the model. On a device the views are of a copy there, to which send() takes the buffer.
class ModelParameters {
 public:
  /// Initialised from `seed` as the published code does (docs/parameters.md), with the same bits on
  /// every device.
  ModelParameters(const Model& model, const ModelShape& shape, std::uint64_t seed,
                  at::Device device = at::kCPU);
  ModelParameters(const ModelParameters&) = delete;
  ModelParameters& operator=(const ModelParameters&) = delete;

  [[nodiscard]] const distributed::FlatLayout& layout() const { return layout_; }
  [[nodiscard]] const ModelShape& shape() const { return shape_; }
  [[nodiscard]] std::span<float> weights();
  [[nodiscard]] std::span<const float> weights() const;
  /// Makes what was written to weights() the model's, on its device too. Nothing to do on the CPU.
  void send();

  /// The parameter called `name`, float, requires_grad. Throws InternalError when there is none.
  [[nodiscard]] const at::Tensor& get(const std::string& name) const;

  /// Makes backward accumulate into `gradient` (layout().size() floats, e.g. GradientReducer::leaf)
  /// from now on: the .grad of each parameter becomes a view of it. The memory lies on the model's
  /// device and must outlive the use; clearing it between micro-batches is the caller's.
  void bind_gradients(std::span<float> gradient);

 private:
  ModelShape shape_;
  distributed::FlatLayout layout_;
  at::Tensor flat_;  ///< in host memory
  at::Tensor used_;  ///< what the views are of: flat_, or its copy on the device
  std::map<std::string, at::Tensor> views_;
};

}  // namespace sbm::trainer
