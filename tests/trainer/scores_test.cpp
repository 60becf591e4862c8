#include "trainer/scores.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"

namespace sbm::trainer {
namespace {

constexpr double kTolerance = 1e-12;

/// Made by tests/trainer/golden/scores.py with scikit-learn and scipy.
nlohmann::json golden(const std::string& group) {
  std::ifstream in(std::string(SBM_SOURCE_DIR) + "/tests/trainer/golden/scores.json");
  return nlohmann::json::parse(in).at(group);
}

double expected(const nlohmann::json& score) { return score.is_null() ? 0.0 : score.get<double>(); }

Confusion count(const std::vector<int>& predictions, const std::vector<int>& targets) {
  Confusion counts;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    double& cell = predictions[i] == 1
                       ? (targets[i] == 1 ? counts.true_positive : counts.false_positive)
                       : (targets[i] == 1 ? counts.false_negative : counts.true_negative);
    ++cell;
  }
  return counts;
}

TEST(Scores, OfClassesEqualScikitLearn) {
  const nlohmann::json cases = golden("classes");
  ASSERT_GE(cases.size(), 10U);
  for (const nlohmann::json& one : cases) {
    const Confusion counts = count(one["predictions"], one["targets"]);
    EXPECT_NEAR(f1(counts), expected(one["f1"]), kTolerance) << one["name"];
    EXPECT_NEAR(matthews(counts), expected(one["matthews"]), kTolerance) << one["name"];
  }
}

TEST(Scores, OfNumbersEqualScipy) {
  const nlohmann::json cases = golden("scores");
  ASSERT_GE(cases.size(), 10U);
  for (const nlohmann::json& one : cases) {
    const std::vector<double> predictions = one["predictions"];
    const std::vector<double> targets = one["targets"];
    // scipy's own rounding: predictions around 1e6 lose six digits before anything is computed.
    EXPECT_NEAR(pearson(predictions, targets), expected(one["pearson"]), 1e-10) << one["name"];
    EXPECT_NEAR(spearman(predictions, targets), expected(one["spearman"]), kTolerance)
        << one["name"];
  }
}

TEST(Scores, OfNothingAreZero) {
  EXPECT_EQ(f1({}), 0.0);
  EXPECT_EQ(matthews({}), 0.0);
  EXPECT_EQ(pearson({}, {}), 0.0);
  EXPECT_EQ(spearman({}, {}), 0.0);
}

TEST(Scores, RefuseListsOfDifferentLengths) {
  const std::vector<double> one = {1.0};
  EXPECT_THROW(static_cast<void>(pearson(one, {})), InternalError);
}

TEST(Scores, TiedRanksAreShared) {
  const std::vector<double> values = {2.0, 1.0, 2.0, 3.0, 2.0, 1.0};
  EXPECT_EQ(average_ranks(values), (std::vector<double>{4.0, 1.5, 4.0, 6.0, 4.0, 1.5}));
}

TEST(Scores, OfManySamplesDoNotOverflow) {
  const Confusion counts = {1e9, 1e9, 1e9, 1e9};
  EXPECT_EQ(matthews(counts), 0.0);
  EXPECT_NEAR(matthews({3e9, 1e9, 1e9, 3e9}), 0.5, kTolerance);
}

}  // namespace
}  // namespace sbm::trainer
