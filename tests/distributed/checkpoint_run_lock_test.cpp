#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <optional>
#include <thread>

#include "distributed/checkpoint/run_lock.h"
#include "tests/distributed/checkpoint_suite.h"
#include "tests/distributed/local_group.h"

namespace sbm::distributed::checkpoint {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

// Long enough that a slow machine cannot make a living holder look dead.
constexpr RunLockTimes kPatient = {milliseconds(20), std::chrono::minutes(10)};
constexpr RunLockTimes kImpatient = {milliseconds(20), milliseconds(50)};

constexpr const char* kForeign =
    R"({"host":"elsewhere","machine":"another","token":"t","pid":4711,"unix_time":1700000000,)";

TEST(RunLock, RefusesASecondRunNamingHostAndProcess) {
  const TemporaryFolder temporary;
  const RunLock first(temporary.path() / "run", kPatient);
  const std::string message =
      checkpoint_error([&] { RunLock(temporary.path() / "run", kPatient); });
  EXPECT_THAT(message, HasSubstr("another run is using this folder"));
  EXPECT_THAT(message, HasSubstr("process " + std::to_string(getpid())));
  EXPECT_NO_THROW(RunLock(temporary.path() / "other run", kPatient));
}

TEST(RunLock, IsFreeAgainAfterItsRun) {
  const TemporaryFolder temporary;
  for (int i = 0; i < 3; ++i) EXPECT_NO_THROW(RunLock(temporary.path(), kPatient));
}

// The patience is endless here: what a dead process of this machine leaves is taken at once.
TEST(RunLock, TakesOverFromAKilledProcess) {
  const TemporaryFolder temporary;
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const RunLock lock(temporary.path(), kPatient);
    char byte = 'x';
    if (write(ready[1], &byte, 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_THAT(checkpoint_error([&] { RunLock(temporary.path(), kPatient); }),
              HasSubstr("process " + std::to_string(child)));
  ASSERT_EQ(kill(child, SIGKILL), 0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_THAT(read_bytes(temporary.path() / "run.lock"), HasSubstr(std::to_string(child)));
  EXPECT_NO_THROW(RunLock(temporary.path(), kPatient));
  close(ready[0]);
  close(ready[1]);
}

TEST(RunLock, TakesOverFromASilentHolderElsewhere) {
  const TemporaryFolder temporary;
  write_bytes(temporary.path() / "run.lock", std::string(kForeign) + "\"beat\":1}");
  EXPECT_NO_THROW(RunLock(temporary.path(), kImpatient));
}

TEST(RunLock, RefusesWhileAHolderElsewhereBeats) {
  const TemporaryFolder temporary;
  const auto beat = [&](int number) {
    write_bytes(temporary.path() / "new", kForeign + ("\"beat\":" + std::to_string(number) + "}"));
    std::filesystem::rename(temporary.path() / "new", temporary.path() / "run.lock");
  };
  beat(0);
  std::jthread holder([&](const std::stop_token& stop) {
    for (int number = 1; !stop.stop_requested(); ++number) {
      beat(number);
      std::this_thread::sleep_for(milliseconds(1));
    }
  });
  const std::string message = checkpoint_error([&] { RunLock(temporary.path(), kPatient); });
  EXPECT_THAT(message, HasSubstr("host 'elsewhere', process 4711, since 2023-11-14 22:13:20 UTC"));
}

TEST(RunLock, NoticesThatAnotherRunTookIt) {
  const TemporaryFolder temporary;
  const RunLock lock(temporary.path(), kPatient);
  EXPECT_NO_THROW(lock.check());
  // Write again and again: a beat may come between.
  const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  bool noticed = false;
  while (!noticed && std::chrono::steady_clock::now() < until) {
    write_bytes(temporary.path() / "run.lock", std::string(kForeign) + "\"beat\":1}");
    std::this_thread::sleep_for(milliseconds(40));
    try {
      lock.check();
    } catch (const CheckpointError&) {
      noticed = true;
    }
  }
  EXPECT_TRUE(noticed);
}

TEST(RunLock, SurvivesGarbageAndRefusesWhatIsNoFile) {
  const TemporaryFolder temporary;
  write_bytes(temporary.path() / "run.lock", "\x1b[31m{{{{\xff");
  EXPECT_NO_THROW(RunLock(temporary.path(), kImpatient));
  std::filesystem::remove(temporary.path() / "run.lock");
  std::filesystem::create_symlink("/dev/null", temporary.path() / "run.lock");
  EXPECT_THROW(RunLock(temporary.path(), kImpatient), CheckpointError);
  std::filesystem::remove(temporary.path() / "run.lock");
  std::filesystem::create_directory(temporary.path() / "run.lock");
  EXPECT_THROW(RunLock(temporary.path(), kImpatient), CheckpointError);
}

TEST(RunLock, OneForAllRanks) {
  const TemporaryFolder temporary;
  run_local_group(3, [&](Communicator& communicator) {
    auto lock = lock_run(communicator, temporary.path(), kPatient);
    EXPECT_EQ(lock != nullptr, communicator.rank() == 0);
    EXPECT_THAT(checkpoint_error([&] { lock_run(communicator, temporary.path(), kPatient); }),
                HasSubstr("rank 0 on"));
  });
}

}  // namespace
}  // namespace sbm::distributed::checkpoint
