// What a run says although it goes on, and the last words of one that cannot.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <string>

#include "base/content_hash.h"
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

// A bus error that no memory caused is somebody's signal, and ends the process at once.
TEST(BusError, SentByAProcessEndsTheRun) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  Process process(tiny.train(0, "r",
                             {"--set=training.steps=100000", "--set=checkpoint.every_steps=0",
                              "--set=training.evaluate_every=0"}));
  ASSERT_TRUE(process.wait_for(tiny.run_folder("r") / "STATUS.json", std::chrono::seconds(60)))
      << process.err();
  process.signal(SIGBUS);
  EXPECT_EQ(process.wait(), 128 + SIGBUS) << process.err();
  EXPECT_THAT(process.err(), Not(HasSubstr("bus error in memory")));
}

// Only a program with other ideas than this one writes such a file.
TEST(Resume, WriterThatSaysNothingOfThreadsIsADamagedCheckpoint) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  ASSERT_EQ(run(tiny.train(1, "r", {"--set=training.stop_at_step=2"})).code, 75);
  const std::string body = "{\n \"ranks\": [7]";
  std::ofstream(tiny.checkpoint("r", 2) / "writer.json")
      << body << ",\n \"seal\": \"" << content_hash(std::string_view(body)).hex() << "\"\n}\n";
  const Outcome outcome = run(tiny.train(1, "r", {"--set=training.stop_at_step=4"}));
  EXPECT_EQ(outcome.code, 4) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("writer.json: expected"));
}

TEST(Resume, NamesThatAreNoUtf8AreNoInternalError) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  ASSERT_EQ(run(tiny.train(0, "r\xff", {"--set=training.stop_at_step=2"})).code, 75);
  const std::string run_folder = tiny.run_folder("r\xff").string();
  const Outcome eval = run({SBM_PROGRAM, "eval", "--checkpoint", run_folder, "--json"});
  EXPECT_EQ(eval.code, 0) << eval.err;
  for (const char* command : {"list", "inspect", "verify"}) {
    const Outcome outcome = run({SBM_PROGRAM, "checkpoint", command, run_folder, "--json"});
    EXPECT_EQ(outcome.code, 0) << command << outcome.err;
  }
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
