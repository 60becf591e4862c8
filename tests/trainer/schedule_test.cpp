#include "trainer/schedule.h"

#include <gtest/gtest.h>

namespace sbm::trainer {
namespace {

Training training(Training::Schedule schedule, std::int64_t steps, std::int64_t warmup) {
  Training result;
  result.set_schedule(schedule);
  result.set_steps(steps);
  result.set_warmup_steps(warmup);
  result.set_learning_rate(0.5);
  return result;
}

/// PyTorch's OneCycleLR.get_lr with anneal_strategy "linear" and its default divisors, restated:
/// two phases that end at pct_start * total - 1 and total - 1.
double pytorch_one_cycle(double highest, double share, double total, double step) {
  const double initial = highest / 25.0;
  const double lowest = initial / 1e4;
  const double first_end = share * total - 1.0;
  const double last_end = total - 1.0;
  if (step <= first_end) return initial + (highest - initial) * (step / first_end);
  return highest + (lowest - highest) * ((step - first_end) / (last_end - first_end));
}

TEST(OneCycle, EqualsPyTorchAtEveryStep) {
  for (const auto& [steps, warmup] : {std::pair<int, int>{5000, 1000}, {10, 3}, {8, 2}, {7, 7}}) {
    const Training config = training(Training::ONE_CYCLE_LINEAR, steps, warmup);
    for (int step = 0; step < steps; ++step) {
      EXPECT_NEAR(learning_rate(config, step + 1),
                  pytorch_one_cycle(0.5, static_cast<double>(warmup) / steps, steps, step), 1e-12)
          << "steps " << steps << ", step_num " << step;
    }
  }
}

TEST(OneCycle, HasTheStatedCorners) {
  const Training config = training(Training::ONE_CYCLE_LINEAR, 10, 3);
  EXPECT_DOUBLE_EQ(learning_rate(config, 1), 0.5 / 25);
  EXPECT_DOUBLE_EQ(learning_rate(config, 2), 0.5 * (1.0 / 25 + 1.0) / 2);
  EXPECT_DOUBLE_EQ(learning_rate(config, 3), 0.5);
  EXPECT_NEAR(learning_rate(config, 10), 0.5 / 250000, 1e-15);
  EXPECT_EQ(learning_rate(config, 11), learning_rate(config, 10));
}

TEST(OneCycle, WorksWithoutAWarmup) {
  EXPECT_DOUBLE_EQ(learning_rate(training(Training::ONE_CYCLE_LINEAR, 10, 1), 1), 0.5);
  const Training config = training(Training::ONE_CYCLE_LINEAR, 10, 0);
  for (int step = 0; step < 10; ++step) {
    EXPECT_NEAR(learning_rate(config, step + 1), pytorch_one_cycle(0.5, 0.0, 10, step), 1e-12);
  }
}

TEST(WarmupLinear, RisesToThePeakAndWouldBeZeroAfterTheLastUpdate) {
  const Training config = training(Training::WARMUP_LINEAR, 10, 4);
  EXPECT_DOUBLE_EQ(learning_rate(config, 1), 0.125);
  EXPECT_DOUBLE_EQ(learning_rate(config, 4), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(config, 5), 0.5 * 6 / 7);
  EXPECT_NEAR(learning_rate(config, 10), 0.5 / 7, 1e-15);
  const Training at_once = training(Training::WARMUP_LINEAR, 4, 0);
  EXPECT_DOUBLE_EQ(learning_rate(at_once, 1), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(at_once, 4), 0.125);
  EXPECT_DOUBLE_EQ(learning_rate(training(Training::WARMUP_LINEAR, 4, 4), 4), 0.5);
}

TEST(WarmupConstant, StaysAtThePeak) {
  const Training config = training(Training::WARMUP_CONSTANT, 10, 4);
  EXPECT_DOUBLE_EQ(learning_rate(config, 2), 0.25);
  EXPECT_DOUBLE_EQ(learning_rate(config, 4), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(config, 10), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(training(Training::WARMUP_CONSTANT, 10, 0), 1), 0.5);
}

TEST(DensityWeight, StartsAndRamps) {
  Attention attention;
  attention.set_density_weight(0.8);
  EXPECT_DOUBLE_EQ(density_weight(attention, 1), 0.8);
  attention.set_density_start_step(10);
  EXPECT_DOUBLE_EQ(density_weight(attention, 10), 0.0);
  EXPECT_DOUBLE_EQ(density_weight(attention, 11), 0.8);
  attention.set_density_ramp_steps(4);
  EXPECT_DOUBLE_EQ(density_weight(attention, 11), 0.2);
  EXPECT_DOUBLE_EQ(density_weight(attention, 14), 0.8);
  EXPECT_DOUBLE_EQ(density_weight(attention, 100), 0.8);
  attention.set_type(Attention::FULL);
  EXPECT_DOUBLE_EQ(density_weight(attention, 100), 0.0);
}

}  // namespace
}  // namespace sbm::trainer
