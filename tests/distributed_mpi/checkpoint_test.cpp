#include <gmock/gmock.h>

#include <filesystem>
#include <optional>

#include "tests/distributed/checkpoint_suite.h"
#include "tests/distributed/faulty_file_system.h"
#include "tests/distributed_mpi/world.h"

namespace sbm::distributed::checkpoint {
namespace {

using ::testing::HasSubstr;

// A folder that rank 0 makes and removes and all ranks use.
class MpiCheckpoint : public ::testing::Test {
 protected:
  void SetUp() override {
    if (world().rank() == 0) own_.emplace();
    path_ = broadcast_string(world(), own_ ? own_->path().string() : std::string(), 0);
  }
  void TearDown() override { world().barrier()->wait(); }

  std::optional<TemporaryFolder> own_;
  std::filesystem::path path_;
};

// With the bytes of one process equal to those of this world, any two worlds have equal bytes; so
// reading one's own bytes is reading those of any other.
TEST_F(MpiCheckpoint, WritesTheBytesOfOneProcessAndReadsThem) {
  const FlatLayout layout = example_layout();
  const ExampleState state(layout, 40);
  SaveOptions options;
  options.bytes_per_file = 1 << 20;
  save(world(), path_ / "all", "run", state.snapshot(world()), options);
  if (world().rank() == 0) {
    const auto alone = make_single_process_communicator();
    save(*alone, path_ / "one", "run", state.snapshot(*alone), options);
    auto all_files = contents(path_ / "all" / "step-000000040");
    auto one_files = contents(path_ / "one" / "step-000000040");
    EXPECT_EQ(all_files.erase("writer.json") + one_files.erase("writer.json"), 2U);
    EXPECT_TRUE(all_files == one_files);
    expect_loads(*alone, path_ / "all" / "step-000000040", state);
  }
  world().barrier()->wait();
  expect_loads(world(), path_ / "one" / "step-000000040", state);

  std::vector<std::string> warnings;
  const auto found = find_newest(world(), path_ / "all", warnings);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->step, 40);
  EXPECT_THAT(warnings, ::testing::IsEmpty());
}

TEST_F(MpiCheckpoint, OneRanksFullDiskIsEveryRanksError) {
  const FlatLayout layout = small_layout();
  const int faulty = world().world_size() - 1;
  int failures = 0;
  for (int at = 1;; ++at) {
    FaultyFileSystem system(world().rank() == faulty ? Fault{Fault::Kind::kError, at, ENOSPC}
                                                     : Fault{});
    SaveOptions options;
    options.bytes_per_file = 10'000;
    options.system = &system;
    const ExampleState state(layout, at);
    try {
      save(world(), path_, "run", state.snapshot(world()), options);
    } catch (const CheckpointError& error) {
      ++failures;
      EXPECT_THAT(error.what(), HasSubstr("rank " + std::to_string(faulty) + " on"));
      EXPECT_THAT(error.what(), HasSubstr("(errno 28)"));
    }
    const std::string fired = broadcast_string(world(), system.fired() ? "yes" : "no", faulty);
    if (fired == "no") break;
  }
  EXPECT_GT(failures, 5);
  world().barrier()->wait();
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    EXPECT_NO_THROW(verify(entry.path()));
  }
}

}  // namespace
}  // namespace sbm::distributed::checkpoint
