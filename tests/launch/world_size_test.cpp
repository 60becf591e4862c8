// The promise that a run has the same bits at any world size, kept by real processes.

#include <gtest/gtest.h>
#include <signal.h>

#include <string>

#include "tests/launch/tiny_run.h"

namespace sbm::launch {
namespace {

TEST(WorldSize, OneToFourRanksWriteTheSameBytes) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  for (int ranks = 1; ranks <= 4; ++ranks) {
    std::string name = std::to_string(ranks);
    name += "_ranks";
    const Outcome outcome = run(tiny.train(ranks, name, {"--set=training.stop_at_step=20"}));
    ASSERT_EQ(outcome.code, 75) << outcome.err;
  }
  const auto expected = promised_bytes(tiny.checkpoint("1_ranks", 20));
  ASSERT_EQ(expected.size(), 4U);  // manifest, model, optimizer, trainer state
  for (const char* name : {"2_ranks", "3_ranks", "4_ranks"}) {
    EXPECT_EQ(promised_bytes(tiny.checkpoint(name, 20)), expected) << name;
  }
}

TEST(WorldSize, StoppedAndResumedAtAnotherWorldSizeIsTheSameRun) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  ASSERT_EQ(run(tiny.train(1, "straight")).code, 0);
  const auto expected = promised_bytes(tiny.checkpoint("straight", 40));
  const int worlds[][2] = {{1, 2}, {3, 1}, {4, 3}};
  for (const auto& [before, after] : worlds) {
    std::string name = std::to_string(before);
    name += "_to_" + std::to_string(after);
    ASSERT_EQ(run(tiny.train(before, name, {"--set=training.stop_at_step=20"})).code, 75);
    const Outcome outcome = run(tiny.train(after, name));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("resumed     step 20"), std::string::npos) << outcome.err;
    EXPECT_EQ(promised_bytes(tiny.checkpoint(name, 40)), expected) << name;
  }
}

// A signal in the middle of an epoch stops all ranks at one step with a checkpoint and exit code
// 75; the same command goes on to the same bytes.
class StopSignal : public testing::TestWithParam<int> {};

TEST_P(StopSignal, IsAgreedOnAndLosesNothing) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  const std::vector<std::string> longer = {"--set=training.steps=400",
                                           "--set=checkpoint.every_steps=0",
                                           "--set=training.evaluate_every=0"};
  ASSERT_EQ(run(tiny.train(2, "straight", longer)).code, 0);

  Process process(tiny.train(3, "stopped", longer));
  ASSERT_TRUE(
      process.wait_for(tiny.run_folder("stopped") / "metrics.jsonl", std::chrono::seconds(60)));
  if (GetParam() == SIGUSR1) {
    process.signal(SIGUSR1);  // mpirun forwards it to all ranks
  } else {
    for (const pid_t rank : process.ranks()) ::kill(rank, GetParam());
  }
  ASSERT_EQ(process.wait(), 75) << process.err();
  EXPECT_NE(process.err().find("Stopped at step"), std::string::npos) << process.err();
  ASSERT_FALSE(std::filesystem::exists(tiny.checkpoint("stopped", 400)));

  const Outcome outcome = run(tiny.train(2, "stopped", longer));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(promised_bytes(tiny.checkpoint("stopped", 400)),
            promised_bytes(tiny.checkpoint("straight", 400)));
}

// Hours of samples: only the signal can end it.
TEST(StopSignalInGeneration, EndsTheRunAndLeavesNoData) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  Process process(tiny.train(2, "r", {"--set=data.listops.train_samples=400000000"}));
  const std::filesystem::path datasets = tiny.run_folder("r").parent_path() / "datasets";
  ASSERT_TRUE(process.wait_for(datasets, std::chrono::seconds(60)));
  for (const pid_t rank : process.ranks()) ::kill(rank, SIGTERM);
  ASSERT_EQ(process.wait(), 75) << process.err();
  EXPECT_NE(process.err().find("Stopped at step 0: a signal came while data were generated"),
            std::string::npos)
      << process.err();
  EXPECT_TRUE(std::filesystem::is_empty(datasets));
}

INSTANTIATE_TEST_SUITE_P(Signals, StopSignal, testing::Values(SIGUSR1, SIGTERM),
                         [](const auto& info) {
                           return std::string(info.param == SIGUSR1 ? "SIGUSR1" : "SIGTERM");
                         });

}  // namespace
}  // namespace sbm::launch
