#include "trainer/prediction.h"

#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "data/evaluation_batches.h"
#include "distributed/checkpoint/checkpoint.h"
#include "kernels/sampling.h"
#include "tests/data/fixtures.h"
#include "tests/temporary_folder.h"
#include "tests/trainer/model_fixture.h"
#include "trainer/batch_tensors.h"
#include "trainer/loaded_model.h"
#include "trainer/trainer_state.h"

namespace sbm::trainer {
namespace {

using namespace testing_support;

constexpr std::uint64_t kSamples =
    30;  // eight micro-batches of 4: two rounds, the last batch short

std::string predicted(const Encoder& encoder, const data::Dataset& dataset,
                      const std::vector<std::string>& names, const EvaluationOptions& options) {
  const auto communicator = distributed::make_single_process_communicator();
  std::string text;
  predict(*communicator, encoder, dataset, names, options,
          [&text](std::string_view lines) { text += lines; });
  return text;
}

std::vector<nlohmann::json> parsed(const std::string& text) {
  std::vector<nlohmann::json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

/// The mean softmax of draws 1 to `draws` of one micro-batch.
at::Tensor expected_probabilities(const Encoder& encoder, const data::Batch& batch,
                                  std::uint64_t seed, std::uint32_t draws) {
  const at::NoGradGuard no_gradients;
  at::Tensor sum;
  for (std::uint32_t draw = 1; draw <= draws; ++draw) {
    EncoderInput input = encoder_input(batch);
    input.seed = seed;
    input.draw = draw;
    const at::Tensor softmax = encoder.forward(input).logits.to(at::kDouble).softmax(-1);
    sum = sum.defined() ? sum + softmax : softmax;
  }
  return sum / static_cast<double>(draws);
}

/// The tokens of the class fixture's test split without a label.
void write_unlabelled(const std::filesystem::path& folder, const data::Dataset& from) {
  data::DatasetDescription description;
  description.recipe = {.task = "test/classes", .generator = "none"};
  description.splits = {"test"};
  description.vocabulary_size = from.vocabulary_size();
  std::filesystem::create_directories(folder);
  data::DatasetWriter writer(folder, description);
  for (std::uint64_t id = 0; id < from.size(); ++id) {
    writer.add(0, {.tokens8 = from.sample(id).tokens8});
  }
  writer.finish();
}

class Prediction : public testing::Test {
 protected:
  Prediction() { data::write_class_dataset(folder_.path() / "classes", 5, kSamples); }

  [[nodiscard]] data::Dataset classes() const {
    return data::Dataset::open(folder_.path() / "classes", "test");
  }

  TemporaryFolder folder_;
  Model model_ = small_model();
  EvaluationOptions options_{
      .micro_batch = 4, .lengths = {.max_length = 48}, .seed = 7, .draws = 3};
};

TEST_F(Prediction, AveragesTheDrawsOfEachSample) {
  const data::Dataset dataset = classes();
  ModelParameters parameters(model_, {40, 3, data::LabelKind::kClass}, 1);
  scatter(parameters, 2);
  const Encoder encoder(model_, parameters);
  const std::string text = predicted(encoder, dataset, dataset.label_names(), options_);
  const std::vector<nlohmann::json> lines = parsed(text);
  ASSERT_EQ(lines.size(), kSamples);
  data::EvaluationBatches batches(dataset, 4, options_.lengths);
  at::Tensor of_batch;
  for (std::uint64_t id = 0; id < kSamples; ++id) {
    const auto row = static_cast<std::int64_t>(id) % 4;
    if (row == 0) {
      const auto index = static_cast<std::int64_t>(id) / 4;
      of_batch = expected_probabilities(encoder, batches.batch(index), 7, 3);
    }
    const at::Tensor expected = of_batch[row];
    const nlohmann::json& line = lines[id];
    EXPECT_EQ(line.size(), 3U);
    EXPECT_EQ(line["sample"], id);
    ASSERT_EQ(line["probabilities"].size(), 3U);
    for (std::int64_t c = 0; c < 3; ++c) {
      const double p = expected[c].item<double>();
      EXPECT_NEAR(line["probabilities"][static_cast<std::size_t>(c)].get<double>(), p, 1e-5 * p);
    }
    const auto best = static_cast<std::size_t>(expected.argmax().item<std::int64_t>());
    EXPECT_EQ(line["prediction"], dataset.label_names()[best]);
  }
  options_.draws = 1;
  EXPECT_NE(predicted(encoder, dataset, dataset.label_names(), options_), text);
}

// In batches by length a row is padded less, which rounds some sums differently: the answers stay,
// and so does their order.
TEST_F(Prediction, IsInTheOrderOfTheDataWhateverTheBatches) {
  const data::Dataset dataset = classes();
  ModelParameters parameters(model_, {40, 3, data::LabelKind::kClass}, 1);
  scatter(parameters, 2);
  const Encoder encoder(model_, parameters);
  const auto plain = parsed(predicted(encoder, dataset, dataset.label_names(), options_));
  options_.lengths.granularity = 4;
  data::EvaluationBatches batches(dataset, 4, options_.lengths);
  EXPECT_NE(batches.batch(0).sample_ids, (std::vector<std::uint64_t>{0, 1, 2, 3}));
  const auto by_length = parsed(predicted(encoder, dataset, dataset.label_names(), options_));
  ASSERT_EQ(by_length.size(), kSamples);
  for (std::size_t i = 0; i < kSamples; ++i) {
    EXPECT_EQ(by_length[i]["sample"], i);
    for (std::size_t c = 0; c < 3; ++c) {
      EXPECT_NEAR(by_length[i]["probabilities"][c].get<double>(),
                  plain[i]["probabilities"][c].get<double>(), 1e-4);
    }
  }
}

TEST_F(Prediction, NamesALabelForEachTokenThatIsKept) {
  data::write_token_dataset(folder_.path() / "tokens", 13);
  const data::Dataset dataset = data::Dataset::open(folder_.path() / "tokens", "train");
  ModelParameters parameters(model_, {1000, 2, data::LabelKind::kPerToken}, 1);
  scatter(parameters, 2);
  const Encoder encoder(model_, parameters);
  options_.lengths.max_length = 7;  // samples have up to 11 tokens
  const std::vector<nlohmann::json> lines =
      parsed(predicted(encoder, dataset, dataset.label_names(), options_));
  ASSERT_EQ(lines.size(), 13U);
  data::EvaluationBatches batches(dataset, 4, options_.lengths);
  at::Tensor of_batch;
  for (std::int64_t id = 0; id < 13; ++id) {
    const nlohmann::json& line = lines[static_cast<std::size_t>(id)];
    EXPECT_EQ(line.size(), 2U);
    EXPECT_EQ(line["sample"], id);
    if (id % 4 == 0) {
      of_batch = expected_probabilities(encoder, batches.batch(id / 4), 7, 3);
    }
    const at::Tensor chosen = of_batch[id % 4].argmax(-1);
    ASSERT_EQ(line["predictions"].size(), std::min<std::size_t>(7, 1 + id % 11));
    for (std::size_t token = 0; token < line["predictions"].size(); ++token) {
      const auto label = chosen[static_cast<std::int64_t>(token)].item<std::int64_t>();
      EXPECT_EQ(line["predictions"][token], label == 0 ? "small" : "large");
    }
  }
}

TEST_F(Prediction, NamesAreWrittenAsJson) {
  const data::Dataset dataset = classes();
  const ModelParameters parameters(model_, {40, 3, data::LabelKind::kClass}, 1);
  const Encoder encoder(model_, parameters);
  const std::string strange = "a \"quoted\"\nname, and a byte that is no UTF-8: \xff";
  for (const auto& line :
       parsed(predicted(encoder, dataset, {strange, strange, strange}, options_)))
    EXPECT_EQ(line["prediction"], "a \"quoted\"\nname, and a byte that is no UTF-8: \xEF\xBF\xBD");
  EXPECT_THROW(predicted(encoder, dataset, {"a", "b"}, options_), InternalError);
}

TEST_F(Prediction, RefusesWeightsThatAreNoNumbers) {
  const data::Dataset dataset = classes();
  ModelParameters parameters(model_, {40, 3, data::LabelKind::kClass}, 1);
  parameters.get("head.output.bias").mutable_data_ptr<float>()[1] =
      std::numeric_limits<float>::quiet_NaN();
  const Encoder encoder(model_, parameters);
  EXPECT_THROW(predicted(encoder, dataset, dataset.label_names(), options_), DivergenceError);
}

// The checkpoint says what the head is, and what its classes are called, when the data do not.
TEST_F(Prediction, WorksOnDataWithoutLabels) {
  const data::Dataset labelled = classes();
  write_unlabelled(folder_.path() / "unlabelled", labelled);
  ModelParameters parameters(model_, {40, 3, data::LabelKind::kClass}, 1);
  scatter(parameters, 2);
  const auto communicator = distributed::make_single_process_communicator();
  TrainerState state;
  state.label_names = labelled.label_names();
  const std::vector<float> moment(static_cast<std::size_t>(parameters.layout().size()));
  const auto saved =
      distributed::checkpoint::save(*communicator, folder_.path() / "checkpoints", "test",
                                    {.step = 12,
                                     .layout = &parameters.layout(),
                                     .weights = parameters.weights(),
                                     .first_moment = moment,
                                     .second_moment = moment,
                                     .trainer_state = to_json(state),
                                     .sampler_version = kernels::kSamplerVersion,
                                     .data_fingerprint = {},
                                     .configuration = R"(task { name: "test/classes" } model {)" +
                                                      model_.ShortDebugString() + "}"});

  LoadRequest request;
  request.checkpoint = saved.folder;
  request.data_folder = folder_.path() / "unlabelled";
  const LoadedModel unlabelled(*communicator, request);
  EXPECT_EQ(unlabelled.step(), 12);
  EXPECT_EQ(unlabelled.label_names(), labelled.label_names());
  request.data_folder = folder_.path() / "classes";
  const LoadedModel with_labels(*communicator, request);
  EXPECT_EQ(with_labels.label_names(), labelled.label_names());
  const auto lines = parsed(
      predicted(unlabelled.encoder(), unlabelled.dataset(), unlabelled.label_names(), options_));
  const auto expected = parsed(
      predicted(with_labels.encoder(), with_labels.dataset(), with_labels.label_names(), options_));
  ASSERT_EQ(lines.size(), kSamples);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i]["probabilities"], expected[i]["probabilities"]);
  }
  data::write_token_dataset(folder_.path() / "tokens", 3);
  request.data_folder = folder_.path() / "tokens";
  request.split = "train";
  EXPECT_THROW(LoadedModel(*communicator, request), DataError);  // another task
}

}  // namespace
}  // namespace sbm::trainer
