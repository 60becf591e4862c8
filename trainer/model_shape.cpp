#include "trainer/model_shape.h"

namespace sbm::trainer {
namespace {

SampleParts sample_parts(const data::Dataset& dataset) {
  if (!dataset.pairs()) return SampleParts::kOne;
  return dataset.task() == "lra/retrieval" ? SampleParts::kDocuments : SampleParts::kSegments;
}

}  // namespace

ModelShape model_shape(const data::Dataset& dataset) {
  const data::LabelKind labels = dataset.task_label_kind();
  const auto classes = static_cast<std::int64_t>(dataset.label_names().size());
  return {.vocabulary = dataset.vocabulary_size(),
          .classes = labels == data::LabelKind::kScore ? 1 : classes,
          .labels = labels,
          .parts = sample_parts(dataset)};
}

std::int64_t batch_length(const data::Dataset& dataset, const Model& model) {
  return sample_parts(dataset) == SampleParts::kDocuments ? dataset.longest() : model.max_length();
}

}  // namespace sbm::trainer
