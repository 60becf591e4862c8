#include "trainer/schedule.h"

#include <algorithm>

namespace sbm::trainer {
namespace {

/// Share of the way from `begin` to `end` at `position`.
double fraction(std::int64_t position, std::int64_t begin, std::int64_t end) {
  return static_cast<double>(position - begin) / static_cast<double>(end - begin);
}

double one_cycle(double highest, std::int64_t warmup, std::int64_t total, std::int64_t update) {
  constexpr double kInitialDivisor = 25.0;
  constexpr double kFinalDivisor = 1e4;
  const double initial = highest / kInitialDivisor;
  const double final = initial / kFinalDivisor;
  if (update == warmup) return highest;
  if (update < warmup) return initial + (highest - initial) * fraction(update, 1, warmup);
  return highest + (final - highest) * fraction(update, warmup, total);
}

}  // namespace

double learning_rate(const Training& training, std::int64_t update) {
  const std::int64_t total = training.steps();
  const std::int64_t warmup = training.warmup_steps();
  const double highest = training.learning_rate();
  update = std::min(update, total);
  if (training.schedule() == Training::ONE_CYCLE_LINEAR) {
    return one_cycle(highest, warmup, total, update);
  }
  if (update <= warmup) return highest * fraction(update, 0, warmup);
  if (training.schedule() == Training::WARMUP_CONSTANT) return highest;
  // The descent starts at the peak; without a warm-up the peak is the first update.
  const std::int64_t peak = std::max<std::int64_t>(warmup, 1);
  return highest * (1.0 - fraction(update, peak, total + 1));
}

double density_weight(const Attention& attention, std::int64_t update) {
  if (attention.type() == Attention::FULL) return 0.0;
  const std::int64_t since = update - attention.density_start_step();
  if (since <= 0) return 0.0;
  const std::int64_t ramp = attention.density_ramp_steps();
  if (since >= ramp) return attention.density_weight();
  return attention.density_weight() * fraction(since, 0, ramp);
}

}  // namespace sbm::trainer
