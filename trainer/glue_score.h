#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sbm::trainer {

/// The metrics of one split, as `sbm eval --json` or a run's metrics.jsonl tells them.
struct TaskResult {
  std::string task;   ///< "glue/cola" ...
  std::string split;  ///< "validation", "test", "validation_mismatched", "test_mismatched"
  std::map<std::string, double> metrics{};
  std::string source;  ///< where it stands
};

/// The best validation of a run folder, or the answer of `sbm eval --json` in a file. Throws
/// DataError naming what is missing or no such text.
TaskResult read_task_result(const std::filesystem::path& path);

/// A line of the benchmark's table. MNLI is one task of two splits.
struct TaskScore {
  std::string task;                    ///< "glue/cola" ...
  std::optional<double> score{};       ///< in [-1, 1]; none while something is missing
  std::vector<std::string> parts{};    ///< "f1 0.8123", "accuracy 0.7500"
  std::vector<std::string> missing{};  ///< "validation_mismatched" ...
};

struct GlueScore {
  std::vector<TaskScore> tasks;  ///< the nine of the benchmark, in its order
  /// Mean over the tasks that have a score; none when no task has one.
  std::optional<double> score;
  [[nodiscard]] std::size_t complete() const;  ///< how many have a score
};

/// The score as the benchmark defines it: the mean over its nine tasks, of each the mean of its
/// metrics (docs/method.md); MNLI's two test sets make one task. AX does not count. Throws
/// ConfigError when a result is not one of GLUE, two are of one split, or some are of validation
/// and others of test; DataError when a metric is missing.
GlueScore glue_score(const std::vector<TaskResult>& results);

}  // namespace sbm::trainer
