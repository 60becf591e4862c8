#include "trainer/model_shape.h"

#include <fmt/format.h>

#include "base/error.h"

namespace sbm::trainer {
namespace {

SampleParts sample_parts(const data::Dataset& dataset) {
  if (!dataset.pairs()) return SampleParts::kOne;
  return dataset.task() == "lra/retrieval" ? SampleParts::kDocuments : SampleParts::kSegments;
}

}  // namespace

std::optional<data::MaskingRules> masking_rules(const Config& config) {
  if (config.task().name() != "pretrain/mlm") return std::nullopt;
  const Masking& masking = config.task().masking();
  return data::MaskingRules{.share = masking.share(),
                            .max_predictions = masking.max_predictions(),
                            .whole_words = masking.whole_words()};
}

ModelShape model_shape(const data::Dataset& dataset) {
  const data::LabelKind labels = dataset.task_label_kind();
  if (labels == data::LabelKind::kNone && dataset.word_pieces()) {
    return {.vocabulary = dataset.vocabulary_size(),
            .classes = dataset.vocabulary_size(),
            .labels = data::LabelKind::kPerToken,
            .parts = SampleParts::kOne,
            .masked_language = true};
  }
  const auto classes = static_cast<std::int64_t>(dataset.label_names().size());
  return {.vocabulary = dataset.vocabulary_size(),
          .classes = labels == data::LabelKind::kScore ? 1 : classes,
          .labels = labels,
          .parts = sample_parts(dataset)};
}

data::LengthBuckets length_buckets(const data::Dataset& dataset, const Config& config) {
  const bool documents = sample_parts(dataset) == SampleParts::kDocuments;
  const std::int64_t length = config.model().max_length();
  return {.max_length = documents ? dataset.longest() : length,
          .granularity = config.training().length_bucket(),
          .part_length = documents ? length : 0};
}

std::int64_t whole_evaluation_batches(const Training& training) {
  return training.evaluation_drop_last() ? training.global_batch_size() : 0;
}

void require_whole_pairs(const data::Dataset& dataset, const Model& model) {
  if (sample_parts(dataset) != SampleParts::kSegments) return;
  if (dataset.longest() <= model.max_length()) return;
  throw ConfigError(fmt::format(
      "model.max_length: expected at least {}, the longest pair of split {} of {}, found {}; or "
      "build "
      "the data with --max-length {}",
      dataset.longest(), dataset.split(), dataset.task(), model.max_length(), model.max_length()));
}

}  // namespace sbm::trainer
