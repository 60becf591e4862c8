// A dry run leaves nothing behind, however it ends.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include "tests/launch/tiny_run.h"

namespace sbm::launch {
namespace {

using testing::HasSubstr;

class DryRun : public testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path runs() const { return folder_.path() / "runs"; }

  /// A dry run whose first step takes minutes, once its folder is there.
  void end_in_mid_step(int signal) {
    Process process(tiny_.train(0, "r", {"--dry-run", "--set=training.global_batch_size=600000"}));
    while (process.running() && !has_trial_folder()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    process.signal(signal);
    EXPECT_EQ(process.wait(), 128 + signal) << process.err();
  }
  [[nodiscard]] bool has_trial_folder() const {
    std::error_code error;
    for (std::filesystem::directory_iterator entry(runs(), error), end; entry != end;
         entry.increment(error)) {
      if (std::filesystem::exists(entry->path() / "run" / "checkpoints")) return true;
    }
    return false;
  }

  TemporaryFolder folder_;
  TinyRun tiny_{folder_.path()};
};

TEST_F(DryRun, LeavesNothing) {
  const Outcome outcome = run(tiny_.train(2, "r", {"--dry-run"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("nothing was left behind"));
  EXPECT_FALSE(std::filesystem::exists(runs()));
}

TEST_F(DryRun, LeavesNothingWhenItsFolderCannotBeMade) {
  // The run folder's name fits, that of the hidden folder beside it does not.
  const Outcome outcome = run(tiny_.train(0, std::string(250, 'r'), {"--dry-run"}));
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("File name too long"));
  EXPECT_FALSE(std::filesystem::exists(runs()));
}

TEST_F(DryRun, TakesDataThatCameFromFiles) {
  const std::string source = (folder_.path() / "source").string();
  std::filesystem::create_directory(source);
  for (const char* name : {"/train.tsv", "/test.tsv"}) {
    std::ofstream(source + name) << "path\tlabel\ttext\ntrain/pos/1_9.txt\t1\tgood film\n"
                                    "train/neg/2_1.txt\t0\tbad film\n";
  }
  const std::string data = (folder_.path() / "data").string();
  const Outcome built = run({SBM_PROGRAM, "data", "build", "--task=lra/text", "--source", source,
                             "--out", data, "--set=data.text.validation_is_test=true"});
  ASSERT_EQ(built.code, 0) << built.err;
  const Outcome outcome =
      run(tiny_.train(0, "r",
                      {"--dry-run", "--set=task.name=lra/text", "--set=data.directory=" + data,
                       "--set=training.global_batch_size=2", "--set=training.micro_batch_size=2"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("nothing was left behind"));
  EXPECT_FALSE(std::filesystem::exists(runs()));
}

TEST_F(DryRun, LeavesNothingWhenASignalEndsIt) {
  for (const int signal : {SIGINT, SIGTERM}) {
    end_in_mid_step(signal);
    EXPECT_FALSE(std::filesystem::exists(runs())) << signal;
  }
}

TEST_F(DryRun, RemovesWhatAKilledOneLeft) {
  end_in_mid_step(SIGKILL);
  EXPECT_FALSE(std::filesystem::is_empty(runs()));
  EXPECT_EQ(run(tiny_.train(0, "r", {"--dry-run"})).code, 0);
  EXPECT_TRUE(std::filesystem::is_empty(runs()));
}

}  // namespace
}  // namespace sbm::launch
