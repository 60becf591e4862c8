#include "trainer/checkpoint_evaluation.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace sbm::trainer {
namespace {

std::optional<double> majority_share(const data::Dataset& dataset) {
  const data::LabelKind kind = dataset.label_kind();
  if (kind == data::LabelKind::kScore || kind == data::LabelKind::kNone) return std::nullopt;
  std::vector<std::int64_t> counts(std::max<std::size_t>(1, dataset.label_names().size()));
  std::int64_t labels = 0;
  for (std::uint64_t id = 0; id < dataset.size(); ++id) {
    const data::SampleView sample = dataset.sample(id);
    if (dataset.label_kind() == data::LabelKind::kPerToken) {
      for (const std::uint8_t label : sample.token_labels) ++counts[label];
      labels += static_cast<std::int64_t>(sample.token_labels.size());
    } else if (sample.label >= 0) {
      ++counts[static_cast<std::size_t>(sample.label)];
      ++labels;
    }
  }
  return labels == 0 ? 0.0
                     : static_cast<double>(*std::max_element(counts.begin(), counts.end())) /
                           static_cast<double>(labels);
}

}  // namespace

CheckpointEvaluation evaluate_checkpoint(distributed::Communicator& communicator,
                                         const LoadedModel& model,
                                         const EvaluationOptions& options) {
  CheckpointEvaluation result;
  result.record = evaluate(communicator, model.encoder(), model.dataset(), options);
  result.record.step = model.step();
  result.majority_share = majority_share(model.dataset());
  return result;
}

}  // namespace sbm::trainer
