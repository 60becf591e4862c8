// Masked language: the head whose output weights are the token embeddings, where and how its loss
// counts, and what evaluation masks.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "data/dataset_writer.h"
#include "tests/temporary_folder.h"
#include "tests/trainer/model_fixture.h"
#include "tests/trainer/reference_encoder.h"
#include "tests/trainer/slopes.h"
#include "trainer/batch_tensors.h"
#include "trainer/encoder.h"
#include "trainer/evaluation.h"
#include "trainer/loss.h"
#include "trainer/metrics.h"
#include "trainer/prediction.h"

namespace sbm::trainer {
namespace {

using namespace testing_support;

constexpr std::int64_t kVocabulary = 11;
constexpr char kTokens[] = "encoder.token_embedding.weight";

/// Places of a micro-batch of two rows padded to 16, and their targets.
const std::vector<std::int64_t> kPlaces = {0, 3, 8, 16, 29};
const std::vector<std::int64_t> kTargets = {2, 7, 0, 10, 2};

EncoderInput masked_input(const Samples& samples) {
  EncoderInput input = samples.input(0, 2, 16);
  input.places = at::tensor(kPlaces, at::kLong);
  return input;
}

/// The sum of -log softmax over the masked tokens, by loops in double.
double reference_loss(const Model& model, const Weights& weights, const Samples& samples) {
  double loss = 0.0;
  for (std::size_t i = 0; i < kPlaces.size(); ++i) {
    const auto row = static_cast<std::size_t>(kPlaces[i] / 16);
    const auto length = static_cast<std::int64_t>(samples.tokens[row].size());
    const std::vector<double> all =
        reference_encoder(model, masked_shape(), weights, samples.tokens[row],
                          full_masks(model, length))
            .logits;
    const auto begin = all.begin() + kPlaces[i] % 16 * kVocabulary;
    loss += reference_cross_entropy(std::vector<double>(begin, begin + kVocabulary),
                                    static_cast<std::size_t>(kTargets[i]));
  }
  return loss;
}

struct FullModel {
  FullModel() { scatter(parameters, 2); }
  Model model = small_model("attention { type: FULL }");
  ModelParameters parameters{model, masked_shape(), 1};
  Encoder encoder{model, parameters};
  Samples samples{{9, 14}, kVocabulary, 3};
};

TEST(MaskedLanguageHead, LossIsThatOfTheDefinition) {
  const FullModel full;
  const at::Tensor logits = full.encoder.forward(masked_input(full.samples)).logits;
  ASSERT_EQ(logits.sizes(), (std::vector<std::int64_t>{5, kVocabulary}));  // masked tokens only
  const double expected = reference_loss(full.model, copy_weights(full.parameters), full.samples);
  EXPECT_NEAR(cross_entropy_sum(logits, at::tensor(kTargets, at::kLong)).item<double>(), expected,
              1e-5 * expected);
}

TEST(MaskedLanguageHead, GradientEqualsFiniteDifferences) {
  FullModel full;
  const Gradients gradients(full.parameters);
  // A tenth of it: a key's bias has no gradient, so what it shows is the rounding of the others.
  const at::Tensor loss = cross_entropy_sum(full.encoder.forward(masked_input(full.samples)).logits,
                                            at::tensor(kTargets, at::kLong));
  (0.1 * loss).backward();
  expect_slopes(
      full.parameters, gradients,
      [&](const Weights& weights) {
        return 0.1 * reference_loss(full.model, weights, full.samples);
      },
      1e-4);
}

TEST(MaskedLanguageHead, TiedGradientIsTheSumOfBothUses) {
  FullModel full;
  const Gradients gradients(full.parameters);
  cross_entropy_sum(full.encoder.forward(masked_input(full.samples)).logits,
                    at::tensor(kTargets, at::kLong))
      .backward();
  Weights weights = copy_weights(full.parameters);
  weights[kUntiedOutput] = weights[kTokens];
  constexpr double kStep = 1e-5;
  const auto slope = [&](const std::string& use, std::size_t i) {
    Weights up = weights;
    Weights down = weights;
    up[use][i] += kStep;
    down[use][i] -= kStep;
    return (reference_loss(full.model, up, full.samples) -
            reference_loss(full.model, down, full.samples)) /
           (2 * kStep);
  };
  const auto found = gradients.of(kTokens);
  for (std::size_t i = 0; i < found.size(); i += 17) {
    const double as_input = slope(kTokens, i);
    const double as_output = slope(kUntiedOutput, i);
    EXPECT_NE(as_output, 0.0);
    EXPECT_NEAR(found[i], as_input + as_output, 1e-3 * (1 + std::abs(as_input + as_output))) << i;
  }
}

TEST(MaskedLanguageHead, AStepCountsWhatEvaluationWouldCount) {
  const FullModel full;
  const EncoderInput input = masked_input(full.samples);
  const EncoderOutput output = full.encoder.forward(input);
  at::Tensor targets = at::tensor(kTargets, at::kLong);
  targets[1] = output.logits[1].argmax();  // one at least is right
  const auto labels = data::LabelKind::kPerToken;
  const Totals expected = count_totals(labels, predictions(labels, output.logits), targets,
                                       input.valid, output.edge_counts);
  const Totals found = count_masked_totals(cross_entropy_sum(output.logits, targets), output.logits,
                                           targets, input.valid, output.edge_counts);
  EXPECT_NEAR(found.loss, expected.loss, 1e-5 * expected.loss);
  EXPECT_EQ(found.correct, expected.correct);
  EXPECT_GE(found.correct, 1.0);
  EXPECT_EQ(found.targets, 5.0);
  EXPECT_EQ(found.tokens, expected.tokens);
  EXPECT_EQ(found.samples, expected.samples);
  EXPECT_EQ(found.valid_cells, expected.valid_cells);
}

// Rows that are asked for twice over, or not at all, change nothing for the others.
TEST(MaskedLanguageHead, LooksAtThePlacesAlone) {
  Model model = small_model();
  ModelParameters parameters(model, masked_shape(), 1);
  scatter(parameters, 2);
  const Encoder encoder(model, parameters);
  const Samples samples({9, 14}, kVocabulary, 3);
  const at::Tensor all = encoder.forward(masked_input(samples)).logits;
  EncoderInput second = samples.input(1, 2, 20);  // alone, and padded further
  second.places = at::tensor(std::vector<std::int64_t>{13}, at::kLong);
  EXPECT_LT(relative_difference(encoder.forward(second).logits[0], all[4]), 1e-5);
}

TEST(MaskedLanguageHead, WithoutATargetTheLossIsZero) {
  FullModel full;
  const Gradients gradients(full.parameters);
  EncoderInput input = full.samples.input(0, 2, 16);
  EXPECT_THROW(static_cast<void>(full.encoder.forward(input)), InternalError);
  input.places = at::empty({0}, at::kLong);
  const EncoderOutput output = full.encoder.forward(input);
  const at::Tensor none = at::empty({0}, at::kLong);
  const at::Tensor loss = cross_entropy_sum(output.logits, none);
  EXPECT_EQ(loss.item<double>(), 0.0);
  loss.backward();
  for (const float value : gradients.flat()) ASSERT_EQ(value, 0.0F);
  const auto labels = data::LabelKind::kPerToken;
  const Totals totals = count_totals(labels, predictions(labels, output.logits), none, input.valid,
                                     output.edge_counts);
  EXPECT_EQ(totals.targets, 0.0);
  EXPECT_EQ(totals.loss, 0.0);
}

TEST(MaskedTensors, AreTheMaskedTokensInOrder) {
  data::Batch batch;
  batch.size = 2;
  batch.padded_length = 3;
  batch.tokens = {2, 4, 3, 2, 3, 0};
  batch.valid = {1, 1, 1, 1, 1, 0};
  batch.lengths = {3, 2};
  batch.sample_ids = {0, 1};
  batch.token_labels = {-1, 9, -1, 0, -1, -1};
  const BatchTensors tensors = masked_tensors(batch);
  EXPECT_TRUE(at::equal(tensors.input.places, at::tensor({1, 3}, at::kLong)));
  EXPECT_TRUE(at::equal(tensors.targets, at::tensor({9, 0}, at::kLong)));
}

/// [CLS] 1, [SEP] 2, [MASK] 3, words 4 to 10; one split of 13 samples.
class MaskedEvaluation : public testing::Test {
 protected:
  MaskedEvaluation() {
    data::DatasetDescription description;
    description.recipe = {.task = "pretrain/mlm", .generator = "test"};
    description.splits = {"validation"};
    description.vocabulary_size = kVocabulary;
    description.word_pieces = {
        .cls = 1, .sep = 2, .mask = 3, .continues = std::vector<bool>(kVocabulary, false)};
    std::filesystem::create_directories(folder_.path() / "data");
    data::DatasetWriter writer(folder_.path() / "data", description);
    for (std::uint64_t i = 0; i < 13; ++i) {
      std::vector<std::uint8_t> tokens = {1};
      for (std::uint64_t t = 0; t < 1 + i; ++t) {
        tokens.push_back(static_cast<std::uint8_t>(4 + (i * t + t) % 7));
      }
      tokens.push_back(2);
      writer.add(0, {.tokens8 = tokens});
    }
    writer.finish();
    scatter(parameters_, 2);
  }

  EvaluationRecord evaluated(const EvaluationOptions& options) const {
    const auto communicator = distributed::make_single_process_communicator();
    return evaluate(*communicator, encoder_, dataset(), options);
  }

  [[nodiscard]] data::Dataset dataset() const {
    return data::Dataset::open(folder_.path() / "data", "validation");
  }

  TemporaryFolder folder_;
  Model model_ = small_model("attention { type: FULL }");
  ModelParameters parameters_{model_, masked_shape(), 1};
  Encoder encoder_{model_, parameters_};
  EvaluationOptions options_{
      .micro_batch = 4, .lengths = {.max_length = 48}, .seed = 7, .masking = data::MaskingRules()};
};

TEST_F(MaskedEvaluation, MasksTheSameTokensEveryTime) {
  const EvaluationRecord first = evaluated(options_);
  EXPECT_EQ(first.samples, 13);
  EXPECT_EQ(evaluated(options_).loss, first.loss);
  EXPECT_THAT(first.metrics, testing::ElementsAre(testing::Key("masked_lm_accuracy"),
                                                  testing::Key("masked_lm_loss")));
  EXPECT_EQ(first.metrics.at("masked_lm_loss"), first.loss);
  // Full attention draws nothing, so other draws see the same masked tokens or another loss.
  EvaluationOptions other = options_;
  other.draws = 3;
  EXPECT_NEAR(evaluated(other).loss, first.loss, 1e-12);
  other = options_;
  other.micro_batch = 5;
  EXPECT_NEAR(evaluated(other).loss, first.loss, 1e-5);
  other.seed = 8;
  EXPECT_GT(std::abs(evaluated(other).loss - first.loss), 1e-3);
}

TEST_F(MaskedEvaluation, CountsWhatMaskingAsksFor) {
  const data::Dataset split = dataset();
  double loss = 0.0;
  std::int64_t targets = 0;
  for (std::uint64_t id = 0; id < split.size(); ++id) {
    const auto stored = split.sample(id).tokens8;
    std::vector<std::int32_t> tokens(stored.begin(), stored.end());
    const data::MaskedTokens masked = data::mask_tokens(data::MaskingRules(), *split.word_pieces(),
                                                        7, data::kEvaluationEpoch, id, tokens);
    const std::vector<double> logits =
        reference_encoder(model_, masked_shape(), copy_weights(parameters_),
                          {tokens.begin(), tokens.end()},
                          full_masks(model_, static_cast<std::int64_t>(tokens.size())))
            .logits;
    for (std::size_t i = 0; i < masked.positions.size(); ++i) {
      const auto begin = logits.begin() + masked.positions[i] * kVocabulary;
      loss += reference_cross_entropy(std::vector<double>(begin, begin + kVocabulary),
                                      static_cast<std::size_t>(masked.labels[i]));
      ++targets;
    }
  }
  EXPECT_NEAR(evaluated(options_).loss, loss / static_cast<double>(targets), 1e-4);
}

TEST_F(MaskedEvaluation, HasNothingToPredictOfASample) {
  const auto communicator = distributed::make_single_process_communicator();
  EXPECT_THROW(predict(*communicator, encoder_, dataset(), {}, options_, [](std::string_view) {}),
               ConfigError);
}

}  // namespace
}  // namespace sbm::trainer
