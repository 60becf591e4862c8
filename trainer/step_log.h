#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "trainer/config.pb.h"
#include "trainer/telemetry.h"
#include "trainer/train_step.h"

namespace sbm::trainer {

/// Gathers the statistics of the steps between two log lines and hands their averages to telemetry
/// every training.log_every steps and at the last one.
class StepLog {
 public:
  /// `telemetry` may be null (ranks other than 0); it outlives the object.
  StepLog(const Config& config, Telemetry* telemetry);

  /// Starts the clock of a step: evaluations and checkpoints in between are not counted.
  void begin() { step_begin_ = Clock::now(); }
  /// `step`: optimiser steps done, the given one included.
  void add(const StepStatistics& statistics, std::int64_t step, double epoch);

 private:
  using Clock = std::chrono::steady_clock;
  const Config& config_;
  Telemetry* telemetry_;
  std::vector<double> sums_;  ///< of Totals::pack()
  std::int64_t steps_ = 0;
  double elapsed_ = 0.0;  ///< seconds spent in those steps
  Clock::time_point step_begin_ = Clock::now();
};

}  // namespace sbm::trainer
