#include "trainer/loss.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace sbm::trainer {
namespace {

/// -log softmax(row)[target] of plain doubles.
double cross_entropy(const std::vector<double>& row, std::size_t target) {
  double sum = 0.0;
  for (const double logit : row) sum += std::exp(logit);
  return std::log(sum) - row[target];
}

TEST(CrossEntropySum, AddsUpOverSamples) {
  const at::Tensor logits = at::tensor({1.0, -2.0, 0.5, 0.0, 3.0, -1.0}, at::kFloat).view({2, 3});
  const double expected = cross_entropy({1.0, -2.0, 0.5}, 2) + cross_entropy({0.0, 3.0, -1.0}, 0);
  EXPECT_NEAR(cross_entropy_sum(logits, at::tensor({2, 0}, at::kLong)).item<double>(), expected,
              1e-6);
}

TEST(CrossEntropySum, IgnoresTokensWithoutTarget) {
  const at::Tensor logits =
      at::tensor({1.0, -2.0, 0.5, 0.0, 3.0, -1.0, 9.0, 9.0}, at::kFloat).view({2, 2, 2});
  const at::Tensor targets = at::tensor({1, -1, 0, -1}, at::kLong).view({2, 2});
  const double expected = cross_entropy({1.0, -2.0}, 1) + cross_entropy({3.0, -1.0}, 0);
  EXPECT_NEAR(cross_entropy_sum(logits, targets).item<double>(), expected, 1e-6);
  EXPECT_EQ(cross_entropy_sum(logits, at::full({2, 2}, -1, at::kLong)).item<double>(), 0.0);
}

TEST(SquaredErrorSum, AddsUpOverSamples) {
  const at::Tensor predictions = at::tensor({1.5F, -1.0F}).view({2, 1});
  const at::Tensor targets = at::tensor({1.0F, 2.0F});
  EXPECT_EQ(squared_error_sum(predictions, targets).item<double>(), 9.25);
  EXPECT_EQ(target_loss_sum(data::LabelKind::kScore, predictions, targets).item<double>(), 9.25);
}

TEST(MicroBatchLoss, AddsUpToTheLossOfTheGlobalBatch) {
  at::manual_seed(1);
  const at::Tensor logits = at::randn({6, 4});
  const at::Tensor targets = at::tensor({0, 1, 2, 3, 0, 1}, at::kLong);
  const at::Tensor density = at::rand({3, 6, 2});  // [layers, batch, heads]
  const double whole =
      cross_entropy_sum(logits, targets).item<double>() / 6 + 0.3 * density.mean().item<double>();
  double parts = 0.0;
  for (std::int64_t begin : {0, 2, 4}) {
    parts += micro_batch_loss(cross_entropy_sum(logits.slice(0, begin, begin + 2),
                                                targets.slice(0, begin, begin + 2)),
                              density.slice(1, begin, begin + 2), 6, 6, 0.3)
                 .item<double>();
  }
  EXPECT_NEAR(parts, whole, 1e-6);
}

TEST(MicroBatchLoss, LeavesTheDensityOutWhenItWeighsNothing) {
  at::Tensor density = at::rand({1, 2, 1}).set_requires_grad(true);
  const at::Tensor entropy = at::ones({}).set_requires_grad(true);
  micro_batch_loss(entropy, density, 2, 2, 0.0).backward();
  EXPECT_FALSE(density.grad().defined());
  micro_batch_loss(entropy, density, 2, 4, 0.5).backward();
  EXPECT_TRUE(at::allclose(density.grad(), at::full({1, 2, 1}, 0.125)));
  EXPECT_THROW(static_cast<void>(micro_batch_loss(entropy, density, 0, 2, 0.0)), InternalError);
}

}  // namespace
}  // namespace sbm::trainer
