#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "distributed/checkpoint/durable_file.h"
#include "tests/distributed/checkpoint_suite.h"
#include "tests/distributed/faulty_file_system.h"
#include "tests/distributed/local_group.h"

namespace sbm::distributed::checkpoint {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using Kind = Fault::Kind;

constexpr int kRanks = 3;

std::set<std::string> names_in(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

// What a group's attempt at something came to.
struct Outcome {
  bool fired = false;
  std::string fired_at;
  std::vector<std::string> errors;  // by rank; empty: none
  [[nodiscard]] bool failed() const { return !errors[0].empty(); }
};

// Runs `body` on every rank, `faulty` having the fault; only CheckpointErrors may come out.
Outcome with_fault(int ranks, int faulty, const Fault& fault,
                   const std::function<void(Communicator&, FileSystem&)>& body) {
  Outcome outcome;
  outcome.errors.resize(static_cast<std::size_t>(ranks));
  run_local_group(ranks, [&](Communicator& communicator) {
    FaultyFileSystem system(communicator.rank() == faulty ? fault : Fault{});
    try {
      body(communicator, system);
    } catch (const CheckpointError& error) {
      outcome.errors[static_cast<std::size_t>(communicator.rank())] = error.what();
    }
    if (communicator.rank() != faulty) return;
    outcome.fired = system.fired();
    outcome.fired_at = system.fired_at();
  });
  for (const std::string& error : outcome.errors) EXPECT_EQ(error, outcome.errors[0]);
  return outcome;
}

class CheckpointFaults : public ::testing::Test {
 protected:
  void SetUp() override {
    save_step(first_, {});
    before_ = contents(folder(1));
  }

  [[nodiscard]] std::filesystem::path folder(std::int64_t step) const {
    return temporary_.path() / ("step-00000000" + std::to_string(step));
  }

  void save_on(Communicator& communicator, FileSystem& system, const ExampleState& state) {
    SaveOptions options;
    options.bytes_per_file = 60'000;  // three files: one for each rank
    options.system = &system;
    save(communicator, temporary_.path(), "run", state.snapshot(communicator), options);
  }

  Outcome save_step(const ExampleState& state, const Fault& fault, int faulty = 0) {
    return with_fault(kRanks, faulty, fault, [&](Communicator& communicator, FileSystem& system) {
      save_on(communicator, system, state);
    });
  }

  // The promise after any failed save: nothing old is touched, nothing half-made is left, and the
  // next save works.
  void expect_clean_and_going_on(const Outcome& outcome) {
    EXPECT_TRUE(contents(folder(1)) == before_);
    std::set<std::string> names = names_in(temporary_.path());
    names.erase("step-000000001");
    if (names.erase("step-000000002") != 0) {
      EXPECT_NO_THROW(verify(folder(2)));
    }
    EXPECT_TRUE(names.empty()) << *names.begin();
    if (!outcome.failed()) {
      EXPECT_TRUE(std::filesystem::exists(folder(2)));
    }
    const Outcome again = save_step(second_, {});
    EXPECT_FALSE(again.failed()) << again.errors[0];
    EXPECT_NO_THROW(verify(folder(2)));
    std::filesystem::remove_all(folder(2));
  }

  FlatLayout layout_ = small_layout();
  ExampleState first_{layout_, 1};
  ExampleState second_{layout_, 2};
  TemporaryFolder temporary_;
  std::map<std::string, std::string> before_;
};

// Fails call after call of a save, on each rank in turn.
TEST_F(CheckpointFaults, AnErrorAtAnyCallOfASave) {
  std::set<std::string> calls;
  for (int faulty = 0; faulty < kRanks; ++faulty) {
    int failures = 0;
    for (int at = 1;; ++at) {
      const int code = at % 2 == 0 ? EIO : ENOSPC;
      const Outcome outcome = save_step(second_, {Kind::kError, at, code}, faulty);
      SCOPED_TRACE("rank " + std::to_string(faulty) + " call " + std::to_string(at) + " " +
                   outcome.fired_at);
      if (outcome.failed()) {
        ++failures;
        calls.insert(outcome.fired_at);
        EXPECT_THAT(outcome.errors[0], HasSubstr("rank " + std::to_string(faulty) + " on"));
        EXPECT_THAT(outcome.errors[0], HasSubstr("(errno " + std::to_string(code) + ")"));
        EXPECT_THAT(outcome.errors[0], HasSubstr(temporary_.path().string()));
      }
      expect_clean_and_going_on(outcome);
      if (!outcome.fired) break;
      // All that matters is checked: only closing what was read, or a folder, may fail unseen.
      if (!outcome.failed()) {
        EXPECT_EQ(outcome.fired_at, "close");
      }
      if (HasFailure()) return;
    }
    EXPECT_GE(failures, 7);
  }
  EXPECT_THAT(calls, ::testing::IsSupersetOf({"open", "read", "write", "fsync", "close", "fstat",
                                              "fstatat", "mkdir", "rename", "readdir"}));
}

TEST_F(CheckpointFaults, ADiskThatStaysFull) {
  for (int at = 1;; ++at) {
    const Outcome outcome = save_step(second_, {Kind::kErrors, at, ENOSPC}, 1);
    // Closing and unlinking work on a full disk.
    if (outcome.fired && outcome.fired_at != "write" && outcome.fired_at != "fsync") {
      std::filesystem::remove_all(folder(2));
      std::filesystem::remove_all(temporary_.path() / "step-000000002.tmp.run");
      continue;
    }
    EXPECT_EQ(outcome.failed(), outcome.fired);
    expect_clean_and_going_on(outcome);
    if (!outcome.fired || HasFailure()) break;
  }
}

// Interrupted calls and short counts are no failures.
TEST_F(CheckpointFaults, ShortAndInterruptedCallsAreContinued) {
  for (const int faulty : {0, 2}) {
    for (int at = 1;; ++at) {
      const Outcome outcome = save_step(second_, {Kind::kShort, at, 0}, faulty);
      EXPECT_FALSE(outcome.failed()) << outcome.errors[0];
      EXPECT_NO_THROW(verify(folder(2)));
      std::filesystem::remove_all(folder(2));
      if (!outcome.fired || HasFailure()) break;
      const Outcome interrupted = save_step(second_, {Kind::kError, at, EINTR}, faulty);
      if (interrupted.fired_at == "write" || interrupted.fired_at == "read" ||
          interrupted.fired_at == "open" || interrupted.fired_at == "close") {
        EXPECT_FALSE(interrupted.failed()) << interrupted.errors[0];
      }
      std::filesystem::remove_all(folder(2));
    }
  }
}

// Some file systems lose data behind calls that all succeed: the sizes and the manifest are looked
// at again before the commit.
TEST_F(CheckpointFaults, LostWritesAreNotCommitted) {
  int lost = 0;
  for (int faulty = 0; faulty < kRanks; ++faulty) {
    for (int at = 1;; ++at) {
      const Outcome outcome = save_step(second_, {Kind::kLostWrite, at, 0}, faulty);
      SCOPED_TRACE("rank " + std::to_string(faulty) + " call " + std::to_string(at));
      if (outcome.fired && outcome.fired_at == "write") {
        ++lost;
        // writer.json is not in the manifest, so its loss shows when it is read.
        if (!outcome.failed()) {
          EXPECT_THAT(checkpoint_error([&] { verify(folder(2)); }), HasSubstr("writer.json"));
          std::filesystem::remove_all(folder(2));
          continue;
        }
      }
      expect_clean_and_going_on(outcome);
      if (!outcome.fired || HasFailure()) break;
    }
  }
  EXPECT_GE(lost, 9);
}

// Runs `body` in a process that dies at its at-th call; whether it lived to the end.
bool dies_at(int at, const std::function<void(Communicator&, FileSystem&)>& body) {
  const pid_t child = fork();
  if (child == 0) {
    FaultyFileSystem system({Kind::kDie, at, 0});
    const auto communicator = make_single_process_communicator();
    try {
      body(*communicator, system);
    } catch (const std::exception&) {
      _exit(1);
    }
    _exit(0);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_THAT(WEXITSTATUS(status), AnyOf(0, 9));
  return WEXITSTATUS(status) == 9;
}

TEST_F(CheckpointFaults, DeathAtAnyCallOfASave) {
  const auto communicator = make_single_process_communicator();
  int deaths = 0;
  int committed = 0;
  for (int at = 1;; ++at) {
    SCOPED_TRACE(at);
    const bool died = dies_at(
        at, [&](Communicator& alone, FileSystem& system) { save_on(alone, system, second_); });
    std::vector<std::string> warnings;
    const auto found = find_newest(*communicator, temporary_.path(), warnings);
    ASSERT_TRUE(found);
    EXPECT_TRUE(warnings.empty());
    expect_loads(*communicator, found->folder, found->step == 2 ? second_ : first_);
    EXPECT_EQ(names_in(temporary_.path()).size(), static_cast<std::size_t>(found->step));
    deaths += died ? 1 : 0;
    committed += died && found->step == 2 ? 1 : 0;
    if (!died) {
      EXPECT_EQ(found->step, 2);
    }
    std::filesystem::remove_all(folder(2));
    if (!died || HasFailure()) break;
  }
  EXPECT_GT(deaths, 30);
  EXPECT_GT(committed, 0);  // between the rename and the end
}

TEST_F(CheckpointFaults, DeathAtAnyCallOfARetention) {
  const auto communicator = make_single_process_communicator();
  ExampleState third(layout_, 3);
  int deaths = 0;
  for (int at = 1;; ++at) {
    SCOPED_TRACE(at);
    FaultyFileSystem healthy;
    for (const ExampleState* state : {&first_, &second_, &third}) {
      save_on(*communicator, healthy, *state);
    }
    const bool died = dies_at(at, [&](Communicator& alone, FileSystem& system) {
      std::vector<std::string> none;
      retain(alone, temporary_.path(), 1, {}, none, system);
    });
    std::vector<std::string> warnings;
    const auto found = find_newest(*communicator, temporary_.path(), warnings);
    ASSERT_TRUE(found);
    EXPECT_TRUE(warnings.empty());
    EXPECT_EQ(found->step, 3);
    for (const Found& complete : list(temporary_.path())) EXPECT_NO_THROW(verify(complete.folder));
    EXPECT_EQ(names_in(temporary_.path()).size(), list(temporary_.path()).size());
    if (!died || HasFailure()) break;
    ++deaths;
  }
  EXPECT_EQ(list(temporary_.path()).size(), 1U);
  EXPECT_GT(deaths, 15);
}

// A failure to look must never pass for an empty folder: that would be a fresh start.
TEST_F(CheckpointFaults, AnErrorAtAnyCallOfTheSearch) {
  ASSERT_FALSE(save_step(second_, {}).failed());
  for (const int code : {EIO, EMFILE}) {
    for (int at = 1;; ++at) {
      SCOPED_TRACE(at);
      std::optional<Found> found;
      const Outcome outcome = with_fault(
          2, 0, {Kind::kError, at, code}, [&](Communicator& communicator, FileSystem& system) {
            std::vector<std::string> warnings;
            const auto mine = find_newest(communicator, temporary_.path(), warnings, system);
            if (mine && mine->step != 2) {
              EXPECT_EQ(warnings.size(), 1U);
            }
            if (communicator.rank() == 0) found = mine;
          });
      if (!outcome.failed()) {
        ASSERT_TRUE(found);
        // Too many open files say nothing about the checkpoint: no older one is taken for that.
        if (code == EMFILE) {
          EXPECT_EQ(found->step, 2);
        }
      }
      if (!outcome.fired) break;
    }
  }
}

TEST_F(CheckpointFaults, AnErrorAtAnyCallOfALoad) {
  for (int faulty = 0; faulty < kRanks; ++faulty) {
    for (int at = 1;; ++at) {
      const Outcome outcome =
          with_fault(kRanks, faulty, {Kind::kError, at, EIO},
                     [&](Communicator& communicator, FileSystem& system) {
                       const Snapshot size = first_.snapshot(communicator);
                       std::vector<float> weights(size.weights.size());
                       std::vector<float> first(size.first_moment.size());
                       std::vector<float> second(size.second_moment.size());
                       load(communicator, folder(1), layout_, weights, first, second, system);
                     });
      if (!outcome.fired) break;
      if (!outcome.failed()) {
        EXPECT_EQ(outcome.fired_at, "close");
      }
      if (outcome.failed()) {
        EXPECT_THAT(outcome.errors[0], HasSubstr("rank " + std::to_string(faulty) + " on"));
      }
    }
  }
}

TEST_F(CheckpointFaults, AnErrorAtAnyCallOfAnExport) {
  TemporaryFolder target;
  const auto out = target.path() / "the model.safetensors";
  for (int at = 1;; ++at) {
    FaultyFileSystem system({Kind::kError, at, EIO});
    bool failed = false;
    try {
      export_model(folder(1), out, system);
    } catch (const CheckpointError&) {
      failed = true;
    }
    const std::set<std::string> names = names_in(target.path());
    EXPECT_THAT(names, AnyOf(std::set<std::string>{}, std::set<std::string>{out.filename()}));
    if (!failed) {
      EXPECT_FALSE(names.empty());
    }
    std::filesystem::remove(out);
    if (!system.fired()) break;
  }
}

// NFS cannot rename without replacing: the way round must neither replace nor lose.
class NoRenameWithoutReplacing final : public FileSystem {
 public:
  int rename_at(int directory, const char* from, const char* to, unsigned flags) override {
    if (flags != 0) {
      errno = EINVAL;
      return -1;
    }
    return FileSystem::rename_at(directory, from, to, flags);
  }
};

TEST_F(CheckpointFaults, FileSystemsThatCannotRefuseToReplace) {
  NoRenameWithoutReplacing system;
  const auto communicator = make_single_process_communicator();
  save_on(*communicator, system, second_);
  expect_loads(*communicator, folder(2), second_);
  const Directory parent = Directory::open(system, temporary_.path());
  EXPECT_THROW(parent.rename("step-000000001", "step-000000002"), FileError);
  EXPECT_TRUE(contents(folder(1)) == before_);
  write_bytes(temporary_.path() / "a", "a");
  write_bytes(temporary_.path() / "b", "b");
  EXPECT_THROW(parent.rename("a", "b"), FileError);
  EXPECT_NO_THROW(parent.rename("a", "c"));
  EXPECT_EQ(read_bytes(temporary_.path() / "c"), "a");
  EXPECT_EQ(read_bytes(temporary_.path() / "b"), "b");
  EXPECT_THAT(names_in(temporary_.path()), ::testing::Not(Contains("a")));
}

}  // namespace
}  // namespace sbm::distributed::checkpoint
