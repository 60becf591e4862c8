#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "trainer/telemetry.h"

namespace sbm::trainer {

/// What a person sees on stderr while a run goes on: one live line on a terminal, plain lines
/// elsewhere. NO_COLOR and TERM=dumb are honoured.
class Progress {
 public:
  Progress(ProgressMode mode, std::int64_t total_steps);

  void tick(std::int64_t step, double step_seconds);
  void step(const StepRecord& record);
  void evaluation(const EvaluationRecord& record);
  void message(const std::string& text);
  void close();

 private:
  void above(const std::string& text);
  void redraw();
  [[nodiscard]] std::string describe(const StepRecord& record) const;
  [[nodiscard]] std::string coloured(const char* code, const std::string& text) const;

  ProgressMode mode_;
  bool colour_ = false;
  std::int64_t total_steps_;
  std::int64_t step_ = 0;
  double seconds_a_step_ = 0.0;  ///< exponential average, for the time left
  StepRecord last_;
  std::string metric_;
  bool line_shown_ = false;
  std::chrono::steady_clock::time_point drawn_{};
};

/// Whether stderr is a terminal that understands escapes.
bool is_terminal();

/// "3h07m", "12m05s" or "8s".
std::string format_duration(double seconds);

}  // namespace sbm::trainer
