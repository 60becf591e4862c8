#include "trainer/metrics.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace sbm::trainer {
namespace {

constexpr auto kClass = data::LabelKind::kClass;
constexpr auto kScore = data::LabelKind::kScore;

TEST(CountTotals, CountsSamples) {
  const at::Tensor probabilities =
      at::tensor({0.7, 0.2, 0.1, 0.1, 0.3, 0.6, 0.4, 0.4, 0.2}, at::kDouble).view({3, 3});
  const at::Tensor targets = at::tensor({0, 1, 0}, at::kLong);
  const at::Tensor valid = at::tensor({1, 1, 1, 0, 1, 1}, at::kLong).view({3, 2}).to(at::kBool);
  // [layers 1, batch 3, heads 2, 3]
  const at::Tensor edges =
      at::tensor({1, 2, 4, 2, 2, 4, 0, 1, 1, 1, 1, 1, 3, 2, 4, 0, 2, 4}, at::kLong)
          .view({1, 3, 2, 3});
  const Totals totals = count_totals(kClass, probabilities, targets, valid, edges);
  EXPECT_NEAR(totals.loss, -std::log(0.7) - std::log(0.3) - std::log(0.4), 1e-12);
  EXPECT_EQ(totals.correct, 2.0);  // a tie goes to the first class
  EXPECT_EQ(totals.targets, 3.0);
  EXPECT_EQ(totals.samples, 3.0);
  EXPECT_EQ(totals.tokens, 5.0);
  EXPECT_EQ(totals.positions, 6.0);
  EXPECT_NEAR(totals.padding(), 1.0 / 6, 1e-12);
  EXPECT_EQ(totals.drawn_edges, (std::vector<double>{4, 3}));
  EXPECT_EQ(totals.forced_edges, (std::vector<double>{5, 5}));
  EXPECT_EQ(totals.valid_cells, (std::vector<double>{9, 9}));
  EXPECT_NEAR(totals.accuracy(), 2.0 / 3, 1e-12);
  EXPECT_EQ(totals.head_density(), (std::vector<double>{4.0 / 9, 3.0 / 9}));
  EXPECT_NEAR(totals.density(), 7.0 / 18, 1e-12);
  EXPECT_NEAR(totals.density_with_self_loops(), 17.0 / 18, 1e-12);
}

TEST(CountTotals, CountsSquaredErrorsOfScores) {
  const at::Tensor predicted = predictions(kScore, at::tensor({1.5F, 4.0F}).view({2, 1}));
  const Totals totals =
      count_totals(kScore, predicted, at::tensor({1.0F, 2.0F}), at::ones({2, 2}, at::kBool),
                   at::zeros({1, 2, 1, 3}, at::kLong));
  EXPECT_EQ(totals.loss, 0.25 + 4.0);
  EXPECT_EQ(totals.targets, 2.0);
  EXPECT_EQ(totals.correct, 0.0);
  EXPECT_EQ(totals.mean_loss(), 4.25 / 2);
}

TEST(CountTotals, CountsWhatIsTakenForClassOne) {
  const at::Tensor right = at::tensor({0.1, 0.9}, at::kDouble);
  const at::Tensor left = at::tensor({0.9, 0.1}, at::kDouble);
  const at::Tensor predicted = at::stack({right, right, right, left, left, left, right});
  const at::Tensor targets = at::tensor({1, 1, 0, 1, 0, 0, -1}, at::kLong);
  const Confusion confusion = count_totals(kClass, predicted, targets, at::ones({7, 1}, at::kBool),
                                           at::zeros({1, 7, 1, 3}, at::kLong))
                                  .confusion();
  EXPECT_EQ(confusion.true_positive, 2.0);
  EXPECT_EQ(confusion.false_positive, 1.0);
  EXPECT_EQ(confusion.false_negative, 1.0);
  EXPECT_EQ(confusion.true_negative, 2.0);
}

TEST(CountTotals, CountsTokensThatHaveATarget) {
  const at::Tensor probabilities =
      at::tensor({0.9, 0.1, 0.2, 0.8, 0.6, 0.4, 0.5, 0.5}, at::kDouble).view({2, 2, 2});
  const at::Tensor targets = at::tensor({0, 0, 1, -1}, at::kLong).view({2, 2});
  const Totals totals = count_totals(kClass, probabilities, targets, at::ones({2, 2}, at::kBool),
                                     at::zeros({1, 2, 1, 3}, at::kLong));
  EXPECT_NEAR(totals.loss, -std::log(0.9) - std::log(0.2) - std::log(0.4), 1e-12);
  EXPECT_EQ(totals.correct, 1.0);
  EXPECT_EQ(totals.targets, 3.0);
  EXPECT_EQ(totals.samples, 2.0);
  EXPECT_EQ(totals.density(), 0.0);
}

TEST(CountTotals, KeepsTheLossFiniteWhenAProbabilityUnderflows) {
  const at::Tensor edges = at::zeros({1, 1, 1, 3}, at::kLong);
  const at::Tensor valid = at::ones({1, 1}, at::kBool);
  const at::Tensor target = at::tensor({1}, at::kLong);
  EXPECT_TRUE(std::isfinite(
      count_totals(kClass, at::tensor({1.0, 0.0}, at::kDouble).view({1, 2}), target, valid, edges)
          .loss));
  EXPECT_TRUE(std::isnan(
      count_totals(kClass, at::tensor({1.0, NAN}, at::kDouble).view({1, 2}), target, valid, edges)
          .loss));
}

// Logits are floats, and 20 and 120 apart they say more than a float's softmax can hold.
TEST(ClassProbabilities, KeepTheLossOfSureAndOfVeryWrongPredictions) {
  const at::Tensor edges = at::zeros({1, 1, 1, 3}, at::kLong);
  const at::Tensor valid = at::ones({1, 1}, at::kBool);
  const at::Tensor target = at::tensor({0}, at::kLong);
  const auto loss = [&](float first, float second) {
    const at::Tensor logits = at::tensor({first, second}, at::kFloat).view({1, 2});
    return count_totals(kClass, class_probabilities(logits), target, valid, edges).loss;
  };
  EXPECT_NEAR(loss(20.0F, 0.0F), std::log1p(std::exp(-20.0)), 1e-14);
  EXPECT_NEAR(loss(0.0F, 120.0F), 120.0, 1e-9);
}

TEST(Totals, PackAndUnpackAreInverse) {
  Totals totals;
  totals.loss = 1.5;
  totals.correct = 2;
  totals.targets = 3;
  totals.samples = 4;
  totals.tokens = 5;
  totals.positions = 15;
  totals.true_positive = 12;
  totals.false_positive = 13;
  totals.false_negative = 14;
  totals.drawn_edges = {6, 7};
  totals.forced_edges = {8, 9};
  totals.valid_cells = {10, 11};
  const std::vector<double> packed = totals.pack();
  EXPECT_EQ(static_cast<std::int64_t>(packed.size()), totals_width(1, 2));
  EXPECT_EQ(Totals::unpack(packed).pack(), packed);
  EXPECT_EQ(Totals::unpack(packed).forced_edges, totals.forced_edges);
  EXPECT_EQ(Totals::unpack(packed).confusion().false_negative, 14);
  EXPECT_EQ(Totals::unpack(packed).positions, 15);
  EXPECT_THROW(static_cast<void>(Totals::unpack(std::span(packed).first(6))), InternalError);
}

TEST(PredictionAverage, AveragesProbabilitiesNotLogits) {
  PredictionAverage average(kClass);
  EXPECT_THROW(static_cast<void>(average.mean()), InternalError);
  average.add(at::tensor({0.0, 0.0}, at::kFloat));
  average.add(at::tensor({static_cast<float>(std::log(9.0)), 0.0F}, at::kFloat));
  EXPECT_NEAR(average.mean()[0].item<double>(), (0.5 + 0.9) / 2, 1e-7);
  EXPECT_NEAR(average.mean().sum().item<double>(), 1.0, 1e-12);
}

}  // namespace
}  // namespace sbm::trainer
