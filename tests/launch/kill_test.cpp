// Crash safety, by killing real ranks of real jobs.

#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <random>
#include <string>
#include <thread>

#include "tests/launch/tiny_run.h"

namespace sbm::launch {
namespace {

// Fifty times a random rank dies at a random moment of a run that saves at every second step. The
// same command always goes on from the newest complete checkpoint, and what comes out in the end
// has the bytes of the run that nobody disturbed.
TEST(Kill, FiftyKilledRanksLoseNothing) {
  constexpr int kKills = 50;
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  const std::vector<std::string> often = {
      "--set=training.steps=1500", "--set=checkpoint.every_steps=2",
      "--set=training.evaluate_every=0", "--set=checkpoint.keep_last=3",
      "--set=data.listops.validation_samples=6"};
  std::mt19937 random(20221);
  int kills = 0;
  std::uniform_int_distribution<int> world(2, 3);
  std::uniform_int_distribution<int> delay_ms(0, 700);
  while (kills < kKills) {
    Process process(tiny.train(world(random), "killed", often));
    // Half of the waits begin when training has begun again, half at once: start-up is a moment
    // too.
    if (kills % 2 == 0) {
      std::filesystem::remove(tiny.run_folder("killed") / "STATUS.json");
      process.wait_for(tiny.run_folder("killed") / "STATUS.json", std::chrono::seconds(60));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms(random)));
    const std::vector<pid_t> ranks = process.ranks();
    if (!process.running()) {
      ASSERT_EQ(process.wait(), 0) << process.err();
      FAIL() << "the run ended before " << kKills << " kills: make it longer";
    }
    if (ranks.empty()) continue;  // mpirun has not started them yet
    ::kill(ranks[random() % ranks.size()], SIGKILL);
    EXPECT_NE(process.wait(), 0);
    ++kills;
  }

  // The end of the run, undisturbed, from wherever the last kill left it.
  std::vector<std::string> seldom = often;
  seldom[1] = "--set=checkpoint.every_steps=0";
  const Outcome last = run(tiny.train(3, "killed", seldom));
  ASSERT_EQ(last.code, 0) << last.err;
  ASSERT_EQ(run(tiny.train(2, "straight", seldom)).code, 0);
  EXPECT_EQ(promised_bytes(tiny.checkpoint("killed", 1500)),
            promised_bytes(tiny.checkpoint("straight", 1500)));
  // Nothing half-written is left over.
  for (const auto& entry :
       std::filesystem::directory_iterator(tiny.run_folder("killed") / "checkpoints")) {
    EXPECT_EQ(entry.path().filename().string().find('.'), std::string::npos) << entry.path();
  }
}

}  // namespace
}  // namespace sbm::launch
