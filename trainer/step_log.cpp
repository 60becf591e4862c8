#include "trainer/step_log.h"

#include <sys/resource.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "trainer/task_metrics.h"

namespace sbm::trainer {
namespace {

std::int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;  // Linux counts it in KiB
}

}  // namespace

StepLog::StepLog(const Config& config, Telemetry* telemetry)
    : config_(config), telemetry_(telemetry) {}

void StepLog::add(const StepStatistics& statistics, std::int64_t step, double epoch) {
  if (telemetry_ == nullptr) return;
  const double spent = std::chrono::duration<double>(Clock::now() - step_begin_).count();
  const std::vector<double> packed = statistics.totals.pack();
  sums_.resize(packed.size(), 0.0);
  std::transform(packed.begin(), packed.end(), sums_.begin(), sums_.begin(), std::plus<>());
  ++steps_;
  elapsed_ += spent;
  telemetry_->tick(step, spent);
  const bool last = step == config_.training().steps();
  if (!last && step % std::max<std::int64_t>(1, config_.training().log_every()) != 0) return;

  const Totals totals = Totals::unpack(sums_);
  StepRecord record;
  record.step = step;
  record.epoch = epoch;
  record.loss = totals.mean_loss();
  if (!judges_scores(config_.task().name())) record.accuracy = totals.accuracy();
  record.learning_rate = statistics.learning_rate;
  record.gradient_norm = statistics.gradient_norm;
  record.density = totals.density();
  record.density_with_self_loops = totals.density_with_self_loops();
  record.head_density = totals.head_density();
  record.tokens_per_second = elapsed_ > 0 ? totals.tokens / elapsed_ : 0.0;
  record.padding = totals.padding();
  record.step_seconds = elapsed_ / static_cast<double>(steps_);
  record.peak_memory_bytes = peak_memory_bytes();
  telemetry_->step(record);
  sums_.clear();
  steps_ = 0;
  elapsed_ = 0.0;
}

}  // namespace sbm::trainer
