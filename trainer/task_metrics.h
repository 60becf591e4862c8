#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "trainer/metrics.h"

namespace sbm::trainer {

/// Names of metrics, as they stand in reports.
inline constexpr char kAccuracy[] = "accuracy";
inline constexpr char kF1[] = "f1";
inline constexpr char kMatthews[] = "matthews";
inline constexpr char kPearson[] = "pearson";
inline constexpr char kSpearman[] = "spearman";
inline constexpr char kMaskedAccuracy[] = "masked_lm_accuracy";
inline constexpr char kMaskedLoss[] = "masked_lm_loss";

/// What a task is judged by; the first one is its main metric, which chooses the best checkpoint
/// and ends training early. GLUE's first ones are those of its authors; every other task has the
/// accuracy.
const std::vector<std::string>& task_metrics(const std::string& task);

/// Whether the task's metrics are correlations of scores, which need every prediction of a split.
bool judges_scores(const std::string& task);

/// The metrics of a task with classes, from counts.
std::map<std::string, double> class_metrics(const std::string& task, const Totals& totals);

/// The metrics of a task with scores. Throws DivergenceError when a prediction is not finite.
std::map<std::string, double> score_metrics(std::span<const double> predictions,
                                            std::span<const double> targets);

/// Whether a metric is a share in [0, 1], shown in per cent, rather than a correlation.
bool is_share(const std::string& metric);

/// A metric to be read.
std::string metric_text(const std::string& metric, double value);

}  // namespace sbm::trainer
