#pragma once

#include <cstdint>
#include <filesystem>

#include "trainer/output_file.h"
#include "trainer/telemetry.h"

namespace sbm::trainer {

/// metrics.jsonl: one JSON object a line, flushed at each record. A training line has `step`,
/// `epoch`, `loss`, `learning_rate`, `density`, `tokens_per_second` and more; an evaluation line
/// has `split` and `metrics` (docs/run-folder.md).
class MetricsFile {
 public:
  /// Lines of steps after `resume_step` are removed first, whole or torn: a resumed run writes them
  /// anew. Throws ConfigError naming the file when it cannot be written.
  MetricsFile(const std::filesystem::path& path, std::int64_t resume_step);

  void step(const StepRecord& record);
  void evaluation(const EvaluationRecord& record);

 private:
  void write(const std::string& line);

  AppendedFile file_;
};

}  // namespace sbm::trainer
