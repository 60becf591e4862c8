#include "distributed/checkpoint/model_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/content_hash.h"
#include "tests/distributed/checkpoint_suite.h"

namespace sbm::distributed::checkpoint {
namespace {

using ::testing::HasSubstr;

class ModelWeightsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SaveOptions options;
    options.bytes_per_file = 1 << 20;
    const auto communicator = make_single_process_communicator();
    save(*communicator, temporary_.path(), "run", state_.snapshot(*communicator), options);
    export_model(folder_, file_);
  }

  FlatLayout layout_ = example_layout();
  ExampleState state_{layout_, 3};
  TemporaryFolder temporary_;
  std::filesystem::path folder_ = temporary_.path() / "step-000000003";
  std::filesystem::path file_ = temporary_.path() / "model.safetensors";
};

TEST_F(ModelWeightsTest, AFileSaysWhatItsCheckpointSays) {
  const ModelWeights checkpoint = inspect_weights(folder_);
  const ModelWeights file = inspect_weights(file_);
  EXPECT_EQ(checkpoint.tensors.size(), layout_.entries().size());
  EXPECT_TRUE(std::ranges::is_sorted(file.tensors, {}, &ModelWeights::Tensor::name));
  ASSERT_EQ(file.tensors.size(), checkpoint.tensors.size());
  for (std::size_t i = 0; i < file.tensors.size(); ++i) {
    EXPECT_EQ(file.tensors[i].name, checkpoint.tensors[i].name);
    EXPECT_EQ(file.tensors[i].shape, checkpoint.tensors[i].shape);
  }
  EXPECT_EQ(file.configuration, inspect(folder_).configuration);
  EXPECT_EQ(file.trainer_state, inspect(folder_).trainer_state);
  EXPECT_EQ(checkpoint.trainer_state, file.trainer_state);
}

// One tensor of the example is larger than what is read at once.
TEST_F(ModelWeightsTest, GivesTheFirstElementsOfEachTensor) {
  for (const auto& path : {folder_, file_}) {
    for (const bool whole : {true, false}) {
      std::vector<float> read(static_cast<std::size_t>(layout_.size()), -1.0F);
      std::map<std::string, std::span<float>> destinations;
      for (const auto& entry : layout_.entries()) {
        const auto size = static_cast<std::size_t>(entry.range.size());
        destinations[entry.spec.name] = std::span(read).subspan(
            static_cast<std::size_t>(entry.range.begin), whole ? size : size / 2);
      }
      read_weights(path, destinations);
      for (const auto& entry : layout_.entries()) {
        const auto size = static_cast<std::size_t>(entry.range.size());
        const auto begin = static_cast<std::size_t>(entry.range.begin);
        const std::size_t taken = whole ? size : size / 2;
        EXPECT_TRUE(std::ranges::equal(std::span(read).subspan(begin, taken),
                                       std::span(state_.weights).subspan(begin, taken)))
            << entry.spec.name;
        EXPECT_TRUE(std::ranges::all_of(std::span(read).subspan(begin + taken, size - taken),
                                        [](float value) { return value == -1.0F; }));
      }
    }
  }
}

TEST_F(ModelWeightsTest, HashIsThatOfTheBytes) {
  EXPECT_EQ(read_weights(file_, {}), content_hash(std::string_view(read_bytes(file_))).hex());
  EXPECT_EQ(read_weights(folder_, {}),
            content_hash(std::string_view(read_bytes(folder_ / "MANIFEST.json"))).hex());
}

TEST_F(ModelWeightsTest, RefusesWhatIsNotThere) {
  using Destinations = std::map<std::string, std::span<float>>;
  std::vector<float> values(1 << 24);
  const Destinations unknown = {{"no such tensor", std::span(values).first(1)}};
  const Destinations too_long = {{layout_.entries().back().spec.name, values}};
  for (const auto& path : {folder_, file_}) {
    EXPECT_THAT(checkpoint_error([&] { read_weights(path, unknown); }),
                HasSubstr("expected a tensor no such tensor"));
    EXPECT_THAT(checkpoint_error([&] { read_weights(path, too_long); }),
                HasSubstr("expected at least 16777216 elements of F32"));
  }
  EXPECT_THAT(checkpoint_error([&] { inspect_weights(temporary_.path() / "none"); }),
              HasSubstr("found nothing"));
  EXPECT_THROW(inspect_weights(temporary_.path()), CheckpointError);
}

}  // namespace
}  // namespace sbm::distributed::checkpoint
