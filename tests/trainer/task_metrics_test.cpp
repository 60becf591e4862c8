#include "trainer/task_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"

namespace sbm::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(TaskMetrics, MainMetricsAreThoseOfTheBenchmark) {
  EXPECT_THAT(task_metrics("glue/cola"), ElementsAre("matthews", "accuracy"));
  EXPECT_THAT(task_metrics("glue/mrpc"), ElementsAre("f1", "accuracy"));
  EXPECT_THAT(task_metrics("glue/qqp"), ElementsAre("f1", "accuracy"));
  EXPECT_THAT(task_metrics("glue/sts-b"), ElementsAre("pearson", "spearman"));
  EXPECT_THAT(task_metrics("glue/sst-2"), ElementsAre("accuracy"));
  EXPECT_THAT(task_metrics("lra/listops"), ElementsAre("accuracy"));
  EXPECT_THAT(task_metrics("pretrain/mlm"), ElementsAre("masked_lm_accuracy", "masked_lm_loss"));
  EXPECT_TRUE(judges_scores("glue/sts-b"));
  EXPECT_FALSE(judges_scores("glue/cola"));
}

TEST(TaskMetrics, ScoresThatAreNotFiniteEndTheRun) {
  const std::vector<double> targets = {1.0, 2.0, 3.0};
  EXPECT_DOUBLE_EQ(score_metrics(std::vector<double>{2.0, 4.0, 6.0}, targets).at("pearson"), 1.0);
  const std::vector<double> broken = {1.0, std::numeric_limits<double>::quiet_NaN(), 2.0};
  EXPECT_THAT([&] { static_cast<void>(score_metrics(broken, targets)); },
              ThrowsMessage<DivergenceError>(HasSubstr("expected finite scores, found nan")));
}

TEST(TaskMetrics, SharesAreShownInPerCent) {
  EXPECT_EQ(metric_text("accuracy", 0.5), "50.00 %");
  EXPECT_EQ(metric_text("f1", 0.8195), "81.95 %");
  EXPECT_EQ(metric_text("masked_lm_accuracy", 0.125), "12.50 %");
  EXPECT_EQ(metric_text("masked_lm_loss", 5.25), "5.2500");
  EXPECT_EQ(metric_text("matthews", -0.25), "-0.2500");
}

}  // namespace
}  // namespace sbm::trainer
