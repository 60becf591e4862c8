// What the published code does oddly and a field reproduces (docs/configuration.md), from outside.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/launch/process.h"
#include "tests/launch/tiny_run.h"
#include "tests/temporary_folder.h"

namespace sbm::launch {
namespace {

nlohmann::json evaluate(const TinyRun& tiny, const std::string& run_name) {
  const Outcome outcome =
      run({SBM_PROGRAM, "eval", "--checkpoint=" + tiny.run_folder(run_name).string(),
           "--split=test", "--json"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return nlohmann::json::parse(outcome.out);
}

// 50 test samples in batches of 24, 400 for training: 16 steps an epoch instead of 16 2/3.
TEST(PublishedOddities, LastBatchesAreDroppedWhereTheyAreToldTo) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  ASSERT_EQ(run(tiny.train(0, "all")).code, 0);
  EXPECT_EQ(evaluate(tiny, "all")["samples"], 50);
  const std::vector<std::string> odd = {
      "--set=training.drop_last=true", "--set=training.evaluation_drop_last=true",
      "--set=model.zero_is_padding=true", "--set=model.pooled_length=64"};
  const Outcome outcome = run(tiny.train(2, "odd", odd));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(evaluate(tiny, "odd")["samples"], 48);

  // Other ranks, and a stop at an epoch's end in between, change no byte.
  std::vector<std::string> stopped = odd;
  stopped.emplace_back("--set=training.stop_at_step=32");
  ASSERT_EQ(run(tiny.train(1, "again", stopped)).code, 75);
  ASSERT_EQ(run(tiny.train(1, "again", odd)).code, 0);
  EXPECT_EQ(promised_bytes(tiny.checkpoint("again", 40)),
            promised_bytes(tiny.checkpoint("odd", 40)));
}

TEST(PublishedOddities, ASplitWithoutAWholeBatchIsRefused) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  const Outcome outcome =
      run(tiny.train(0, "large",
                     {"--set=training.evaluation_drop_last=true",
                      "--set=training.global_batch_size=60", "--set=training.steps=5"}));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("training.evaluation_drop_last: expected a split of at least one"),
            std::string::npos)
      << outcome.err;
}

}  // namespace
}  // namespace sbm::launch
