#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sbm::trainer {

/// How progress is shown on stderr.
enum class ProgressMode {
  kAuto,   ///< one live line on a terminal, plain lines elsewhere
  kLive,   ///< one live line
  kPlain,  ///< a line every log_every steps
  kNone,
};

/// One logged training step; averages are over the steps since the last record.
struct StepRecord {
  std::int64_t step = 0;           ///< optimiser steps done
  double epoch = 0.0;              ///< passes over the training split, with fraction
  double loss = 0.0;               ///< cross-entropy or squared error, without the density term
  std::optional<double> accuracy;  ///< of training predictions, in [0, 1]; none of scores
  double learning_rate = 0.0;
  double gradient_norm = 0.0;  ///< before clipping
  double density = 0.0;        ///< drawn edges over valid cells, forced diagonal excluded
  double density_with_self_loops = 0.0;
  std::vector<double> head_density;  ///< [layers * heads], as `density`
  double tokens_per_second = 0.0;    ///< tokens of all ranks that are attended to, no padding
  double padding = 0.0;              ///< share of padding among the positions computed
  double step_seconds = 0.0;
  std::int64_t peak_memory_bytes = 0;  ///< largest resident size of this process
};

/// One evaluation of a split.
struct EvaluationRecord {
  std::int64_t step = 0;
  std::string split;
  std::int64_t samples = 0;
  double loss = 0.0;
  std::map<std::string, double> metrics;  ///< e.g. {"accuracy", 0.41}
  double density = 0.0;
  double density_with_self_loops = 0.0;
  std::vector<double> head_density;  ///< [layers * heads]
  bool best = false;                 ///< the best validation metric so far
};

/// Writes what a run reports: metrics.jsonl, TensorBoard event files and the progress line. Lives
/// on rank 0 only. metrics.jsonl gets one JSON object a line, flushed at each record.
class Telemetry {
 public:
  struct Options {
    std::filesystem::path run_directory;
    /// Records after this step are removed from metrics.jsonl: on resume the run repeats them.
    std::int64_t resume_step = 0;
    std::int64_t total_steps = 0;
    ProgressMode progress = ProgressMode::kAuto;
    std::string task;
    int layers = 0;
    int heads = 0;
  };

  /// Throws ConfigError naming the file when one cannot be written; so do step() and evaluation().
  explicit Telemetry(const Options& options);
  ~Telemetry();
  Telemetry(const Telemetry&) = delete;
  Telemetry& operator=(const Telemetry&) = delete;

  void step(const StepRecord& record);
  void evaluation(const EvaluationRecord& record);
  /// Every step, also between records: moves the live line.
  void tick(std::int64_t step, double step_seconds);
  /// A line of its own above the live line: checkpoint written, resumed from, warnings.
  void message(const std::string& text);
  /// Ends the live line and flushes everything.
  void close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sbm::trainer
