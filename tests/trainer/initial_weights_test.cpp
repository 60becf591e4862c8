#include "trainer/initial_weights.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "distributed/checkpoint/checkpoint.h"
#include "kernels/sampling.h"
#include "tests/temporary_folder.h"
#include "tests/trainer/model_fixture.h"
#include "trainer/config.h"
#include "trainer/trainer_state.h"

namespace sbm::trainer {
namespace {

using namespace testing_support;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::ThrowsMessage;
using testing::UnorderedElementsAre;

namespace checkpoint = distributed::checkpoint;

constexpr char kVocabularyHash[] = "00000000000000000000000000000001";
constexpr char kPositions[] = "encoder.position_embedding.weight";

class InitialWeights : public testing::Test {
 protected:
  /// A checkpoint of a masked-language model with weights of its own.
  std::filesystem::path saved(const Model& model, const std::optional<std::string>& vocabulary,
                              const ModelShape& shape = masked_shape()) {
    source_ = std::make_unique<ModelParameters>(model, shape, 1);
    scatter(*source_, 2);
    Config config;
    *config.mutable_model() = model;
    TrainerState state;
    state.vocabulary = vocabulary;
    const std::vector<float> moment(static_cast<std::size_t>(source_->layout().size()));
    return checkpoint::save(*communicator_, folder_.path() / numbered("checkpoints"), "test",
                            {.step = 12,
                             .layout = &source_->layout(),
                             .weights = source_->weights(),
                             .first_moment = moment,
                             .second_moment = moment,
                             .trainer_state = to_json(state),
                             .sampler_version = kernels::kSamplerVersion,
                             .data_fingerprint = "data",
                             .configuration = resolved_text(config)})
        .folder;
  }

  /// The same as one file.
  std::filesystem::path exported(const std::filesystem::path& checkpoint) {
    std::filesystem::path file = folder_.path() / (numbered("model") + ".safetensors");
    checkpoint::export_model(checkpoint, file);
    return file;
  }

  /// Starts `target` from `path`; the listing.
  std::string initialized(const std::filesystem::path& path, const Model& model,
                          ModelParameters& target, const std::string& hash = "") {
    Config config;
    *config.mutable_model() = model;
    config.mutable_training()->set_initialize_from(path.string());
    config.mutable_training()->set_initialize_from_hash(hash);
    return initialize_weights(*communicator_,
                              note_initial_weights(*communicator_, config, std::nullopt),
                              kVocabularyHash, target);
  }

  std::string numbered(const std::string& name) { return name + std::to_string(++number_); }

  TemporaryFolder folder_;
  std::unique_ptr<distributed::Communicator> communicator_ =
      distributed::make_single_process_communicator();
  std::unique_ptr<ModelParameters> source_;
  int number_ = 0;
};

TEST_F(InitialWeights, AreTheEncodersUnderAnotherHead) {
  const Model model = small_model();
  const auto folder = saved(model, kVocabularyHash);
  for (const auto& path : {folder, exported(folder)}) {
    ModelParameters target(model, segment_shape(), 9);
    const ModelParameters fresh(model, segment_shape(), 9);
    const std::string listing = initialized(path, model, target);
    for (const auto& entry : target.layout().entries()) {
      const std::string& name = entry.spec.name;
      const bool taken = name.starts_with("encoder.") && name.find("segment") == name.npos;
      EXPECT_TRUE(at::equal(target.get(name), (taken ? *source_ : fresh).get(name))) << name;
    }
    EXPECT_THAT(listing,
                AllOf(HasSubstr(path.string()), HasSubstr("encoder.layers.{i}.attention.key.bias"),
                      HasSubstr("tensors there left: 5"), HasSubstr("head.transform.weight"),
                      HasSubstr("parameters new: 5"), HasSubstr("encoder.segment_embedding.weight"),
                      Not(HasSubstr("which vocabulary"))));
  }
}

TEST_F(InitialWeights, MaskedLanguageKeepsItsHead) {
  const Model model = small_model();
  const auto folder = saved(model, kVocabularyHash);
  ModelParameters target(model, masked_shape(), 9);
  const std::string listing = initialized(folder, model, target);
  for (const auto& entry : target.layout().entries()) {
    EXPECT_TRUE(at::equal(target.get(entry.spec.name), source_->get(entry.spec.name)));
  }
  EXPECT_THAT(listing, AllOf(HasSubstr("left: 0"), HasSubstr("new: 0")));
}

TEST_F(InitialWeights, OtherHeadsStartAnewEvenIfTheyWouldFit) {
  const Model model = small_model();
  const auto folder = saved(model, kVocabularyHash, class_shape());
  ModelParameters target(model, class_shape(), 9);
  const ModelParameters fresh(model, class_shape(), 9);
  static_cast<void>(initialized(folder, model, target));
  EXPECT_TRUE(at::equal(target.get("head.hidden.weight"), fresh.get("head.hidden.weight")));
}

TEST_F(InitialWeights, TakeThePositionsThatBothHave) {
  const Model model = small_model();  // 48 positions
  const auto folder = saved(model, kVocabularyHash);
  for (const auto& path : {folder, exported(folder)}) {
    for (const std::int64_t positions : {20, 60}) {
      Model other = model;
      other.set_max_length(static_cast<std::int32_t>(positions));
      ModelParameters target(other, class_shape(), 9);
      const ModelParameters fresh(other, class_shape(), 9);
      const std::string listing = initialized(path, other, target);
      const std::int64_t common = std::min<std::int64_t>(48, positions);
      EXPECT_TRUE(at::equal(target.get(kPositions).narrow(0, 0, common),
                            source_->get(kPositions).narrow(0, 0, common)));
      EXPECT_TRUE(at::equal(target.get(kPositions).slice(0, common),
                            fresh.get(kPositions).slice(0, common)));
      const std::string said = "positions 1 to 48 are taken, 49 to 60 start at random";
      EXPECT_EQ(listing.find(said) != listing.npos, positions == 60) << listing;
    }
  }
}

TEST_F(InitialWeights, TakeFullAttentionForSampledAttention) {
  const Model full = small_model("attention { type: FULL }");
  const auto folder = saved(full, kVocabularyHash);
  ModelParameters target(small_model(), class_shape(), 9);
  EXPECT_THAT(initialized(folder, small_model(), target),
              HasSubstr("encoder.layers.{i}.attention.cluster_embedding"));
  const std::string query = "encoder.layers.1.attention.query.weight";
  EXPECT_TRUE(at::equal(target.get(query), source_->get(query)));
}

TEST_F(InitialWeights, ListEverythingThatDoesNotFit) {
  const auto folder = saved(small_model("attention { type: FULL }"), "other vocabulary");
  Model other = small_model("attention { type: FULL } heads: 4 head_dim: 4 feed_forward_dim: 21");
  other.set_layers(3);
  ModelParameters target(other, {13, 4, data::LabelKind::kClass}, 9);
  const std::vector<float> before(target.weights().begin(), target.weights().end());
  EXPECT_THAT(
      [&] { static_cast<void>(initialized(folder, other, target)); },
      ThrowsMessage<CheckpointError>(AllOf(
          HasSubstr("model.heads: expected 4, found 2"),
          HasSubstr("vocabulary of the data: expected XXH3-128 0000"),
          HasSubstr("encoder.token_embedding.weight: expected F32 [13, 12], found F32 [11, 12] "
                    "(the vocabulary of the data, model.embedding_dim)"),
          HasSubstr("encoder.layers.0.feed_forward.hidden.weight: expected F32 [21, 12]"),
          HasSubstr("encoder.layers.2.attention_norm.weight: expected [12], found no such"))));
  EXPECT_TRUE(std::ranges::equal(target.weights(), before));
}

TEST_F(InitialWeights, SayWhenTheVocabularyIsNotKnown) {
  const auto folder = saved(small_model(), std::nullopt);
  ModelParameters target(small_model(), class_shape(), 9);
  EXPECT_THAT(initialized(folder, small_model(), target), HasSubstr("which vocabulary"));
}

TEST_F(InitialWeights, MustHaveTheHashThatIsAskedFor) {
  const auto folder = saved(small_model(), kVocabularyHash);
  const auto file = exported(folder);
  ModelParameters target(small_model(), class_shape(), 9);
  const std::string hash = checkpoint::read_weights(file, {});
  EXPECT_THAT(initialized(file, small_model(), target, hash), HasSubstr(hash));
  EXPECT_THAT([&] { static_cast<void>(initialized(folder, small_model(), target, hash)); },
              ThrowsMessage<CheckpointError>(HasSubstr("expected XXH3-128 " + hash)));
}

// Any byte of a checkpoint is checked; a file's header must be sound.
TEST_F(InitialWeights, RefuseDamage) {
  const auto folder = saved(small_model(), kVocabularyHash);
  const auto file = exported(folder);
  ModelParameters target(small_model(), class_shape(), 9);
  const auto flip = [](const std::filesystem::path& path, std::streamoff offset) {
    std::fstream stream(path, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekg(offset);
    const int byte = stream.get();
    stream.seekp(offset);
    stream.put(static_cast<char>(byte ^ 0x10));
  };
  const auto expect_refused = [&](const std::filesystem::path& path) {
    EXPECT_THAT([&] { static_cast<void>(initialized(path, small_model(), target)); },
                ThrowsMessage<CheckpointError>(HasSubstr(path.string())));
  };
  flip(file, 0);
  expect_refused(file);
  expect_refused(folder_.path() / "missing");
  std::ofstream(folder_.path() / "text.safetensors") << "no tensors";
  expect_refused(folder_.path() / "text.safetensors");
  flip(folder / "model-00000-of-00001.safetensors", 6000);
  expect_refused(folder);
}

TEST(WeightPlan, RefusesTensorsThatAreNoneOfOurs) {
  const ModelParameters target(small_model(), class_shape(), 9);
  std::vector<checkpoint::ModelWeights::Tensor> there;
  for (const auto& entry : target.layout().entries()) {
    there.push_back({entry.spec.name,
                     checkpoint::DataType::kF32,
                     {entry.spec.shape.begin(), entry.spec.shape.end()}});
  }
  EXPECT_THAT(plan_weights(there, target.layout(), target.shape()).problems, IsEmpty());
  EXPECT_THAT(plan_weights(there, target.layout(), target.shape()).left,
              UnorderedElementsAre("head.hidden.weight", "head.hidden.bias", "head.output.weight",
                                   "head.output.bias"));
  there.push_back({"bert.pooler.dense.weight", checkpoint::DataType::kF32, {4, 4}});
  there.front().type = checkpoint::DataType::kF16;
  EXPECT_THAT(plan_weights(there, target.layout(), target.shape()).problems,
              ElementsAre(HasSubstr("encoder.token_embedding.weight: expected F32 [11, 12], found "
                                    "F16 [11, 12]"),
                          HasSubstr("bert.pooler.dense.weight [4, 4]")));
}

}  // namespace
}  // namespace sbm::trainer
