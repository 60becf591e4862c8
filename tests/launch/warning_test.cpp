// What a run says although it goes on, and the last words of one that cannot.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "tests/launch/tiny_run.h"

namespace sbm::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// A step that takes minutes is silence to a watchdog that waits a second.
TEST(Watchdog, WritesItsLastWordsToTheLog) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  const Outcome outcome = run(tiny.train(
      0, "r", {"--set=training.global_batch_size=600000", "--set=runtime.timeout_seconds=1"}));
  EXPECT_EQ(outcome.code, 6) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("no progress for"));
  const std::string log = text_of(tiny.run_folder("r") / "logs" / "rank-0.log");
  EXPECT_THAT(log, HasSubstr("no progress for"));
  EXPECT_THAT(log, HasSubstr("at step 0 in training step"));
  EXPECT_EQ(log.back(), '\n');
}

TEST(Resume, WarnsOfOtherThreads) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  ASSERT_EQ(run(tiny.train(2, "r", {"--set=training.stop_at_step=2"})).code, 75);
  const Outcome same = run(tiny.train(1, "r", {"--set=training.stop_at_step=4"}));
  ASSERT_EQ(same.code, 75);
  EXPECT_THAT(same.err, Not(HasSubstr("warning")));
  const Outcome other =
      run(tiny.train(1, "r", {"--set=training.stop_at_step=6", "--set=runtime.threads=2"}));
  ASSERT_EQ(other.code, 75);
  EXPECT_THAT(other.err,
              AllOf(HasSubstr("warning: threads a rank were 1 when"), HasSubstr("and are 2 now")));
}

TEST(Retention, TellsOfDamageAtOnceAndOnce) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  ASSERT_EQ(run(tiny.train(2, "r", {"--set=training.stop_at_step=20"})).code, 75);
  // Cut, so that sizes tell; resumed from by name, since auto would say so itself.
  ASSERT_EQ(run(tiny.train(2, "r", {"--set=training.stop_at_step=22"})).code, 75);
  std::filesystem::resize_file(tiny.checkpoint("r", 20) / "model-00000-of-00001.safetensors", 100);
  const Outcome outcome = run(tiny.train(2, "r", {"--set=checkpoint.every_steps=5"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::string words = "warning: step-000000020 is damaged";
  const std::size_t first = outcome.err.find(words);
  ASSERT_NE(first, std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find(words, first + 1), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace sbm::launch
