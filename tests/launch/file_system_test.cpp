// A disk that fails ends in one message with path and reason, and the exit code of what it failed
// for. Rights do not stop root, so files and folders stand in each other's place instead.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/launch/tiny_run.h"

namespace sbm::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class FailingDisk : public testing::Test {
 protected:
  [[nodiscard]] Outcome train() const { return run(tiny_.train(0, "r", {"--progress=none"})); }
  void make_folder(const std::string& name) const {
    std::filesystem::create_directories(tiny_.run_folder("r") / name / "full");
  }
  void make_file(const std::filesystem::path& path) const {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << "text";
  }

  TemporaryFolder folder_;
  TinyRun tiny_{folder_.path()};
};

TEST_F(FailingDisk, RunFolderIsExitCodeTwo) {
  for (const char* name : {"STATUS.json", "logs/rank-0.log", "metrics.jsonl", "config.textproto"}) {
    std::filesystem::remove_all(tiny_.run_folder("r"));
    make_folder(name);
    const Outcome outcome = train();
    EXPECT_EQ(outcome.code, 2) << name << outcome.err;
    EXPECT_THAT(outcome.err, AllOf(HasSubstr(name), HasSubstr("Is a directory"),
                                   Not(HasSubstr("internal error"))));
  }
}

TEST_F(FailingDisk, DataAreExitCodeThree) {
  make_file(folder_.path() / "runs" / "datasets");
  const Outcome outcome = train();
  EXPECT_EQ(outcome.code, 3) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("datasets"), Not(HasSubstr("internal error"))));
}

// A limit on the size of files is what comes nearest to a full disk without a disk to fill.
TEST_F(FailingDisk, CheckpointsAreExitCodeFourAndOlderOnesStay) {
  ASSERT_EQ(run(tiny_.train(0, "r", {"--set=training.stop_at_step=1"})).code, 75);
  std::vector<std::string> command = {"bash", "-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "-"};
  for (const std::string& word : tiny_.train(0, "r", {"--set=training.evaluate_every=0"})) {
    command.push_back(word);
  }
  const Outcome outcome = run(command);
  EXPECT_EQ(outcome.code, 4) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("checkpoint step-000000020 was not saved"),
                                 HasSubstr("safetensors"), HasSubstr("File too large")));
  EXPECT_EQ(run({SBM_PROGRAM, "checkpoint", "verify", tiny_.checkpoint("r", 1).string()}).code, 0);
  EXPECT_FALSE(std::filesystem::exists(tiny_.checkpoint("r", 20)));
}

TEST_F(FailingDisk, AnAnswerThatIsLostIsNoSuccess) {
  const Outcome outcome =
      run({"bash", "-c", "exec \"$@\" >/dev/full", "-", SBM_PROGRAM, "doctor", "--json"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("standard output"));
}

}  // namespace
}  // namespace sbm::launch
