#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/distributed/checkpoint_suite.h"
#include "tests/distributed/local_group.h"

namespace sbm::distributed::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

void save_with(int world_size, const std::filesystem::path& checkpoints, const ExampleState& state,
               const SaveOptions& options = {}) {
  run_local_group(world_size, [&](Communicator& communicator) {
    const SaveReport report =
        save(communicator, checkpoints, "run-1", state.snapshot(communicator), options);
    EXPECT_TRUE(report.written);
    EXPECT_EQ(report.notice, "");
    EXPECT_GT(report.bytes, state.weights.size());
  });
}

// Every world size writes; the bytes are the same; every world size reads.
TEST(CheckpointRoundTrip, AnyWorldSizeIntoAnyOther) {
  const FlatLayout layout = example_layout();
  const ExampleState state(layout, 1200);
  SaveOptions options;
  options.bytes_per_file = 1 << 20;
  std::map<std::string, std::string> first;
  for (int writers = 1; writers <= 4; ++writers) {
    const TemporaryFolder temporary;
    const auto checkpoints = temporary.path() / "deep er" / "checkpoints";
    save_with(writers, checkpoints, state, options);
    EXPECT_EQ(contents(checkpoints),
              (std::map<std::string, std::string>{{"step-000001200", "<folder>"}}));
    const auto folder = checkpoints / "step-000001200";
    EXPECT_NO_THROW(verify(folder));
    auto files = contents(folder);
    const auto writer = nlohmann::json::parse(files.at("writer.json"));
    EXPECT_EQ(writer.at("world_size"), writers);
    EXPECT_EQ(writer.at("ranks").size(), static_cast<std::size_t>(writers));
    files.erase("writer.json");
    if (writers == 1) first = files;
    EXPECT_TRUE(files == first) << writers << " ranks wrote other bytes than one";
    for (int readers = 1; readers <= 4; ++readers) {
      run_local_group(
          readers, [&](Communicator& communicator) { expect_loads(communicator, folder, state); });
    }
  }
}

// One file for each limit begun in which a tensor begins, whatever the ranks; tensors stay whole.
TEST(CheckpointRoundTrip, FilesFollowFromBytesAlone) {
  const FlatLayout layout = small_layout();  // 28,800 + 20,000 + 12 bytes
  const ExampleState state(layout, 1);
  SaveOptions options;
  options.bytes_per_file = 16'384;
  const TemporaryFolder temporary;
  save_with(2, temporary.path(), state, options);
  std::vector<std::string> names;
  for (const auto& [name, bytes] : contents(temporary.path() / "step-000000001")) {
    names.push_back(name);
  }
  EXPECT_THAT(
      names,
      ElementsAre("MANIFEST.json", "model-00000-of-00003.safetensors",
                  "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
                  "optimizer-00000-of-00005.safetensors", "optimizer-00001-of-00005.safetensors",
                  "optimizer-00002-of-00005.safetensors", "optimizer-00003-of-00005.safetensors",
                  "optimizer-00004-of-00005.safetensors", "trainer_state.json", "writer.json"));
  run_local_group(3, [&](Communicator& communicator) {
    expect_loads(communicator, temporary.path() / "step-000000001", state);
  });
}

TEST(CheckpointRoundTrip, WeightsAlone) {
  const FlatLayout layout = small_layout();
  const ExampleState state(layout, 5);
  const TemporaryFolder temporary;
  save_with(2, temporary.path(), state);
  const auto communicator = make_single_process_communicator();
  std::vector<float> weights(state.weights.size());
  load(*communicator, temporary.path() / "step-000000005", layout, weights, {}, {});
  EXPECT_TRUE(weights == state.weights);
}

TEST(CheckpointRoundTrip, ListsAllTensorsThatDoNotFit) {
  const FlatLayout layout = small_layout();
  const ExampleState state(layout, 5);
  const TemporaryFolder temporary;
  save_with(1, temporary.path(), state);
  const FlatLayout other({{"b.weight", {60, 120}, true}, {"c.weight", {9}, true}, {"a.bias", {3}}});
  run_local_group(2, [&](Communicator& communicator) {
    const auto shard = static_cast<std::size_t>(
        other.shard(communicator.rank(), communicator.world_size()).size());
    std::vector<float> weights(static_cast<std::size_t>(other.size()));
    std::vector<float> first(shard);
    std::vector<float> second(shard);
    const std::string message = checkpoint_error([&] {
      load(communicator, temporary.path() / "step-000000005", other, weights, first, second);
    });
    EXPECT_THAT(message, HasSubstr("'b.weight': expected F32 [60, 120], found F32 [120, 60]"));
    EXPECT_THAT(message, HasSubstr("missing: 'c.weight' [9]"));
    EXPECT_THAT(message, HasSubstr("unexpected: 'a.weight' [5000]"));
    EXPECT_THAT(message, HasSubstr("missing: 'second_moment.c.weight' [9]"));
    EXPECT_THAT(message, HasSubstr("9 tensors do not fit"));
  });
}

TEST(CheckpointRoundTrip, KeepsASoundCheckpointOfTheSameStep) {
  const FlatLayout layout = small_layout();
  const ExampleState state(layout, 5);
  const TemporaryFolder temporary;
  save_with(1, temporary.path(), state);
  const auto before = contents(temporary.path() / "step-000000005");
  run_local_group(3, [&](Communicator& communicator) {
    const SaveReport report =
        save(communicator, temporary.path(), "run-2", state.snapshot(communicator));
    EXPECT_FALSE(report.written);
    EXPECT_THAT(report.notice, HasSubstr("is complete already"));
  });
  EXPECT_TRUE(contents(temporary.path() / "step-000000005") == before);
}

TEST(CheckpointRoundTrip, PutsADamagedCheckpointOfTheSameStepAside) {
  const FlatLayout layout = small_layout();
  const ExampleState state(layout, 5);
  const TemporaryFolder temporary;
  save_with(1, temporary.path(), state);
  const auto folder = temporary.path() / "step-000000005";
  write_bytes(folder / "trainer_state.json", "{}");
  run_local_group(2, [&](Communicator& communicator) {
    const SaveReport report =
        save(communicator, temporary.path(), "run-2", state.snapshot(communicator));
    EXPECT_TRUE(report.written);
    EXPECT_THAT(report.notice, HasSubstr("step-000000005.bad-"));
    expect_loads(communicator, folder, state);
  });
  EXPECT_EQ(contents(temporary.path()).size(), 2U);
}

TEST(CheckpointRoundTrip, RefusesRanksThatDrifted) {
  const FlatLayout layout = small_layout();
  const TemporaryFolder temporary;
  run_local_group(3, [&](Communicator& communicator) {
    ExampleState state(layout, 5);
    if (communicator.rank() == 2) state.weights[17] += 1.0F;
    const std::string message = checkpoint_error(
        [&] { save(communicator, temporary.path(), "run", state.snapshot(communicator)); });
    EXPECT_THAT(message, HasSubstr("rank 0 and rank 2 differ in their weights"));
    state = ExampleState(layout, 5);
    Snapshot snapshot = state.snapshot(communicator);
    if (communicator.rank() == 1) snapshot.trainer_state = "{}";
    EXPECT_THAT(checkpoint_error([&] { save(communicator, temporary.path(), "run", snapshot); }),
                HasSubstr("rank 0 and rank 1 differ in their step, configuration, data"));
  });
  EXPECT_TRUE(contents(temporary.path()).empty());
}

TEST(CheckpointRoundTrip, RefusesBuffersOfTheWrongSize) {
  const FlatLayout layout = small_layout();
  const ExampleState state(layout, 5);
  const TemporaryFolder temporary;
  const auto communicator = make_single_process_communicator();
  Snapshot snapshot = state.snapshot(*communicator);
  EXPECT_THROW(save(*communicator, temporary.path(), "../escape", snapshot), InternalError);
  EXPECT_THROW(save(*communicator, temporary.path(), ".hidden", snapshot), InternalError);
  snapshot.weights = snapshot.weights.subspan(1);
  EXPECT_THROW(save(*communicator, temporary.path(), "run", snapshot), InternalError);
}

TEST(CheckpointRoundTrip, InspectTellsWhatIsInIt) {
  const FlatLayout layout = example_layout();
  const ExampleState state(layout, 8);
  const TemporaryFolder temporary;
  save_with(2, temporary.path(), state);
  const Inspection inspection = inspect(temporary.path() / "step-000000008");
  EXPECT_EQ(inspection.step, 8);
  EXPECT_EQ(inspection.sampler_version, 1);
  EXPECT_EQ(inspection.data_fingerprint, "0123456789abcdef");
  EXPECT_EQ(inspection.parameters, static_cast<std::uint64_t>(layout.parameter_count()));
  EXPECT_EQ(inspection.files.size(), 3U);
  EXPECT_EQ(inspection.tensors.size(), 3 * layout.entries().size());
  EXPECT_THAT(inspection.writer, HasSubstr("\"world_size\":2"));
}

}  // namespace
}  // namespace sbm::distributed::checkpoint
