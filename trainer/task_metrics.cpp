#include "trainer/task_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "trainer/scores.h"

namespace sbm::trainer {

const std::vector<std::string>& task_metrics(const std::string& task) {
  static const std::map<std::string, std::vector<std::string>> kTable = {
      {"glue/cola", {kMatthews, kAccuracy}},
      {"glue/mrpc", {kF1, kAccuracy}},
      {"glue/qqp", {kF1, kAccuracy}},
      // As google-research/bert calls them (run_pretraining.py); the loss in nats a masked token.
      {"pretrain/mlm", {kMaskedAccuracy, kMaskedLoss}},
      {"glue/sts-b", {kPearson, kSpearman}},
  };
  static const std::vector<std::string> kOthers = {kAccuracy};
  const auto found = kTable.find(task);
  return found == kTable.end() ? kOthers : found->second;
}

bool judges_scores(const std::string& task) { return task_metrics(task).front() == kPearson; }

std::map<std::string, double> class_metrics(const std::string& task, const Totals& totals) {
  std::map<std::string, double> metrics;
  for (const std::string& name : task_metrics(task)) {
    if (name == kAccuracy) metrics[name] = totals.accuracy();
    if (name == kMaskedAccuracy) metrics[name] = totals.accuracy();
    if (name == kMaskedLoss) metrics[name] = totals.mean_loss();
    if (name == kF1) metrics[name] = f1(totals.confusion());
    if (name == kMatthews) metrics[name] = matthews(totals.confusion());
  }
  return metrics;
}

std::map<std::string, double> score_metrics(std::span<const double> predictions,
                                            std::span<const double> targets) {
  const auto wrong = std::find_if_not(predictions.begin(), predictions.end(),
                                      [](double value) { return std::isfinite(value); });
  if (wrong != predictions.end()) {
    throw DivergenceError(fmt::format("evaluation: expected finite scores, found {} for sample {}",
                                      *wrong, wrong - predictions.begin()));
  }
  return {{kPearson, pearson(predictions, targets)}, {kSpearman, spearman(predictions, targets)}};
}

bool is_share(const std::string& metric) {
  return metric == kAccuracy || metric == kF1 || metric == kMaskedAccuracy;
}

std::string metric_text(const std::string& metric, double value) {
  return is_share(metric) ? fmt::format("{:.2f} %", 100.0 * value) : fmt::format("{:.4f}", value);
}

}  // namespace sbm::trainer
