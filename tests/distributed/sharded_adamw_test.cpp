#include "distributed/sharded_adamw.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "base/error.h"
#include "tests/distributed/local_group.h"
#include "tests/distributed/training_suite.h"

namespace sbm::distributed {
namespace {

/// The same update in double precision, from the formula.
struct Reference {
  double weight;
  double first = 0.0;
  double second = 0.0;

  void step(int t, double gradient, double rate, const AdamWOptions& o, bool decay) {
    first = o.beta1 * first + (1.0 - o.beta1) * gradient;
    second = o.beta2 * second + (1.0 - o.beta2) * gradient * gradient;
    const double m = first / (1.0 - std::pow(o.beta1, t));
    const double v = second / (1.0 - std::pow(o.beta2, t));
    if (decay) weight -= rate * o.weight_decay * weight;
    weight -= rate * m / (std::sqrt(v) + o.epsilon);
  }
};

TEST(ShardedAdamW, FollowsTheFormula) {
  const FlatLayout layout({{"matrix", {37, 3}, true}, {"bias", {37}, false}});
  const auto alone = make_single_process_communicator();
  const AdamWOptions options{.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-5, .weight_decay = 0.3};
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  std::vector<float> weights(static_cast<std::size_t>(layout.size()));
  std::vector<Reference> expected(weights.size());
  for (const auto& entry : layout.entries()) {
    for (auto i = entry.range.begin; i < entry.range.end; ++i) {
      weights[static_cast<std::size_t>(i)] = normal(random);
      expected[static_cast<std::size_t>(i)].weight = weights[static_cast<std::size_t>(i)];
    }
  }
  ShardedAdamW optimiser(*alone, layout, weights, options);
  for (int t = 1; t <= 50; ++t) {
    std::vector<float> gradient(weights.size());
    const double rate = 0.01 * t;
    const double scale = 0.7;
    for (const auto& entry : layout.entries()) {
      for (auto i = entry.range.begin; i < entry.range.end; ++i) {
        const auto at = static_cast<std::size_t>(i);
        gradient[at] = normal(random);
        expected[at].step(t, scale * gradient[at], rate, options, entry.spec.decay);
      }
    }
    optimiser.step(gradient, rate, scale);
    EXPECT_EQ(optimiser.steps_done(), t);
  }
  for (std::size_t i = 0; i < weights.size(); ++i) {
    EXPECT_NEAR(weights[i], expected[i].weight, 2e-5) << "element " << i;
    EXPECT_NEAR(optimiser.first_moment()[i], expected[i].first, 1e-5);
    EXPECT_NEAR(optimiser.second_moment()[i], expected[i].second, 1e-5);
  }
}

TEST(ShardedAdamW, FirstStepMovesEachWeightByTheRate) {
  const FlatLayout layout({{"a", {2}, false}});
  const auto alone = make_single_process_communicator();
  std::vector<float> weights(static_cast<std::size_t>(layout.size()));
  std::vector<float> gradient(weights.size());
  gradient[0] = 1e-3F;
  gradient[1] = -5.0F;
  ShardedAdamW optimiser(*alone, layout, weights, {.epsilon = 1e-12});
  optimiser.step(gradient, 0.25, 1.0);
  EXPECT_NEAR(weights[0], -0.25, 1e-6);
  EXPECT_NEAR(weights[1], 0.25, 1e-6);
}

TEST(ShardedAdamW, DecaysOnlyWhereAsked) {
  const FlatLayout layout({{"matrix", {1}, true}, {"bias", {1}, false}});
  const auto alone = make_single_process_communicator();
  std::vector<float> weights(static_cast<std::size_t>(layout.size()), 0.0F);
  weights[0] = 2.0F;
  weights[16] = 2.0F;
  const std::vector<float> gradient(weights.size());
  ShardedAdamW optimiser(*alone, layout, weights, {.weight_decay = 0.5});
  optimiser.step(gradient, 0.1, 1.0);
  EXPECT_FLOAT_EQ(weights[0], 1.9F);
  EXPECT_EQ(weights[16], 2.0F);
}

TEST(ShardedAdamW, LeavesGapsAlone) {
  const FlatLayout layout({{"a", {1}, true}, {"b", {1}, true}});
  const auto alone = make_single_process_communicator();
  std::vector<float> weights(static_cast<std::size_t>(layout.size()));
  const std::vector<float> gradient(weights.size(), 1.0F);
  ShardedAdamW optimiser(*alone, layout, weights, {.weight_decay = 0.5});
  optimiser.step(gradient, 0.1, 1.0);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    EXPECT_EQ(weights[i] != 0.0F, i == 0 || i == 16) << i;
  }
}

TEST(ShardedAdamW, SameBitsAtEveryWorldSize) {
  for (int ranks = 1; ranks <= 7; ++ranks)
    run_local_group(ranks, [](Communicator& own) { expect_sharded_update(own); });
}

TEST(ShardedAdamW, RefusesWhatCannotBe) {
  const FlatLayout layout({{"a", {1}, true}});
  const auto alone = make_single_process_communicator();
  std::vector<float> weights(static_cast<std::size_t>(layout.size()));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const AdamWOptions& bad :
       {AdamWOptions{.beta1 = 1.0}, AdamWOptions{.beta1 = nan}, AdamWOptions{.beta2 = -0.1},
        AdamWOptions{.epsilon = 0.0}, AdamWOptions{.weight_decay = -1.0}}) {
    EXPECT_THROW(ShardedAdamW(*alone, layout, weights, bad), ConfigError);
  }
  EXPECT_THROW(ShardedAdamW(*alone, layout, std::span(weights).first(1), {}), InternalError);
  ShardedAdamW optimiser(*alone, layout, weights, {});
  const std::vector<float> wrong(3);
  EXPECT_THROW(optimiser.step(wrong, 0.1, 1.0), InternalError);
  EXPECT_THROW(optimiser.restore(1, wrong, weights), InternalError);
  EXPECT_THROW(optimiser.restore(1, weights, wrong), InternalError);
  EXPECT_THROW(optimiser.restore(-1, weights, weights), InternalError);
  EXPECT_EQ(optimiser.steps_done(), 0);
}

TEST(GradientNorm, SameBitsAtEveryWorldSize) {
  for (int ranks = 1; ranks <= 7; ++ranks) run_local_group(ranks, expect_norm);
}

TEST(GradientNorm, ShowsWhatIsNotFinite) {
  const FlatLayout layout({{"a", {9000}, true}});
  const auto alone = make_single_process_communicator();
  std::vector<float> gradient(static_cast<std::size_t>(layout.size()), 1e30F);
  EXPECT_TRUE(std::isfinite(gradient_norm(*alone, layout, gradient)));
  gradient[8999] = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(std::isinf(gradient_norm(*alone, layout, gradient)));
  gradient[17] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(gradient_norm(*alone, layout, gradient)));
  EXPECT_THROW(gradient_norm(*alone, layout, std::span(gradient).first(4096)), InternalError);
}

}  // namespace
}  // namespace sbm::distributed
