#include "data/stand_in.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/error.h"
#include "data/dataset.h"
#include "data/inspect.h"
#include "data/verify.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

// Each task stands in as its own data would lie there: of the kind, the width and about the lengths
// that are published.
TEST(StandIn, HasTheShapeOfTheTask) {
  struct Case {
    const char* task;
    LabelKind labels;
    bool pairs;
    double mean;
  };
  for (const Case& expected : {Case{"lra/listops", LabelKind::kClass, false, 1030},
                               Case{"lra/retrieval", LabelKind::kClass, true, 8000},
                               Case{"lra/image", LabelKind::kClass, false, 1024},
                               Case{"glue/sst-2", LabelKind::kClass, false, 13.3},
                               Case{"glue/sts-b", LabelKind::kScore, true, 27.8},
                               Case{"pretrain/mlm", LabelKind::kNone, false, 120}}) {
    const TemporaryFolder folder;
    const std::uint64_t samples = write_stand_in(folder.path(), expected.task, {.tokens = 1 << 20});
    EXPECT_TRUE(verify_dataset(folder.path()).problems.empty()) << expected.task;
    const DatasetSummary summary = inspect_dataset(folder.path());
    ASSERT_EQ(summary.splits.size(), 1U);
    EXPECT_EQ(summary.splits[0].samples, samples) << expected.task;
    EXPECT_LE(summary.splits[0].tokens, std::uint64_t{1} << 20) << expected.task;
    // Over a thousand samples whose spread is below the mean: a tenth is three standard errors.
    EXPECT_NEAR(summary.splits[0].lengths.mean, expected.mean, 0.1 * expected.mean)
        << expected.task;
    const Dataset train = Dataset::open(folder.path(), "train");
    EXPECT_EQ(train.label_kind(), expected.labels) << expected.task;
    EXPECT_EQ(train.pairs(), expected.pairs) << expected.task;
    EXPECT_EQ(train.word_pieces().has_value(), train.task() == "pretrain/mlm");
  }
}

TEST(StandIn, KeepsToItsLimits) {
  const TemporaryFolder folder;
  EXPECT_EQ(write_stand_in(folder.path(), "lra/pathfinder128", {.tokens = 1, .longest = 100}), 1U);
  EXPECT_EQ(Dataset::open(folder.path(), "train").longest(), 100);
}

TEST(StandIn, KnowsPublishedTasksOnly) {
  const TemporaryFolder folder;
  EXPECT_THROW(write_stand_in(folder.path(), "synthetic/repeated-tokens", {}), ConfigError);
}

}  // namespace
}  // namespace sbm::data
