// Models of samples with two parts, and of scores, against the referee.

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "tests/trainer/model_fixture.h"
#include "tests/trainer/reference_encoder.h"
#include "tests/trainer/slopes.h"
#include "trainer/documents.h"
#include "trainer/encoder.h"
#include "trainer/loss.h"
#include "trainer/mask_picture.h"

namespace sbm::trainer {
namespace {

using namespace testing_support;

constexpr char kFull[] = "attention { type: FULL }";

/// The first `first` tokens of a sample, or the others.
std::vector<std::int64_t> part(const std::vector<std::int64_t>& tokens, std::size_t first,
                               bool second) {
  const auto cut = tokens.begin() + static_cast<std::ptrdiff_t>(first);
  return second ? std::vector(cut, tokens.end()) : std::vector(tokens.begin(), cut);
}

class Pairs : public testing::Test {
 protected:
  [[nodiscard]] EncoderInput input(std::int64_t padded) const {
    EncoderInput result = samples_.input(0, 3, padded);
    result.first_lengths = at::tensor({4, 9, 1}, at::kLong);
    return result;
  }

  Samples samples_{{9, 14, 30}, 11, 3};
  std::vector<std::size_t> first_ = {4, 9, 1};
};

TEST_F(Pairs, SegmentsAreAddedToTheEmbedding) {
  const at::NoGradGuard no_gradients;
  const Model model = small_model(kFull);
  ModelParameters parameters(model, segment_shape(), 1);
  scatter(parameters, 2);
  const Encoder encoder(model, parameters);
  const at::Tensor logits = encoder.forward(input(32)).logits;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto length = static_cast<std::int64_t>(samples_.tokens[i].size());
    const ReferenceOutput expected =
        reference_encoder(model, segment_shape(), copy_weights(parameters), samples_.tokens[i],
                          full_masks(model, length), {}, static_cast<std::int64_t>(first_[i]));
    EXPECT_LT(relative_difference(logits[static_cast<std::int64_t>(i)].to(at::kDouble),
                                  at::tensor(expected.logits, at::kDouble)),
              1e-5);
  }
  EncoderInput wrong = input(32);
  wrong.first_lengths = at::Tensor();
  EXPECT_THROW(static_cast<void>(encoder.forward(wrong)), InternalError);
}

TEST_F(Pairs, GradientsWithSegmentsEqualFiniteDifferences) {
  const Model model = small_model(kFull);
  ModelParameters parameters(model, segment_shape(), 1);
  scatter(parameters, 2);
  const Encoder encoder(model, parameters);
  const Gradients gradients(parameters);
  cross_entropy_sum(encoder.forward(input(32)).logits, at::tensor({2, 0, 1}, at::kLong)).backward();
  expect_slopes(
      parameters, gradients,
      [&](const Weights& weights) {
        double loss = 0.0;
        const std::vector<std::size_t> targets = {2, 0, 1};
        for (std::size_t i = 0; i < 3; ++i) {
          const auto length = static_cast<std::int64_t>(samples_.tokens[i].size());
          loss += reference_cross_entropy(
              reference_encoder(model, segment_shape(), weights, samples_.tokens[i],
                                full_masks(model, length), {}, static_cast<std::int64_t>(first_[i]))
                  .logits,
              targets[i]);
        }
        return loss;
      },
      1e-4);
}

TEST_F(Pairs, DocumentsAreCutAndPaddedApart) {
  const Documents documents = split_documents(input(32), 20);
  ASSERT_EQ(documents.input.tokens.sizes(), at::IntArrayRef({6, 20}));
  const std::vector<std::int64_t> lengths = {4, 5, 9, 5, 1, 20};  // of 29 tokens 20 are kept
  for (std::int64_t row = 0; row < 6; ++row) {
    const auto sample = static_cast<std::size_t>(row / 2);
    const auto expected = part(samples_.tokens[sample], first_[sample], row % 2 == 1);
    const std::int64_t length = lengths[static_cast<std::size_t>(row)];
    EXPECT_EQ(documents.input.valid[row].sum().item<std::int64_t>(), length);
    for (std::int64_t i = 0; i < 20; ++i) {
      EXPECT_EQ(documents.input.valid[row][i].item<bool>(), i < length);
      EXPECT_EQ(documents.input.tokens[row][i].item<std::int64_t>(),
                i < length ? expected[static_cast<std::size_t>(i)] : 0);
    }
    EXPECT_EQ(documents.input.sample_ids[static_cast<std::size_t>(row)], samples_.ids[sample]);
    EXPECT_EQ(documents.input.sequences[static_cast<std::size_t>(row)], row % 2);
  }
  EXPECT_EQ(split_documents(input(32), 100).input.tokens.size(1), 64);
  EncoderInput empty = input(32);
  empty.first_lengths[1] = 14;
  EXPECT_THROW(static_cast<void>(split_documents(empty, 20)), InternalError);
}

TEST_F(Pairs, DocumentsAreComparedUnderMasksOfTheirOwn) {
  const at::NoGradGuard no_gradients;
  for (const char* changes : {kFull, "max_length: 31"}) {
    const Model model = small_model(changes);
    ModelParameters parameters(model, document_shape(), 1);
    scatter(parameters, 2);
    const Encoder encoder(model, parameters);
    const EncoderInput pairs = input(48);
    const EncoderOutput output = encoder.forward(pairs);
    ASSERT_EQ(output.logits.sizes(), at::IntArrayRef({3, 4}));
    ASSERT_EQ(output.expected_density.sizes(), at::IntArrayRef({2, 3, 2}));
    ASSERT_EQ(output.edge_counts.sizes(), at::IntArrayRef({2, 3, 2, 3}));
    const Documents documents = split_documents(pairs, model.max_length());
    for (std::int64_t i = 0; i < 3; ++i) {
      const auto sample = static_cast<std::size_t>(i);
      std::vector<std::vector<std::int64_t>> tokens;
      std::vector<Masks> masks;
      std::int64_t cells = 0;
      for (std::int64_t row = 2 * i; row < 2 * i + 2; ++row) {
        EncoderInput one = documents.input;
        one.tokens = documents.input.tokens.narrow(0, row, 1);
        one.valid = documents.input.valid.narrow(0, row, 1);
        one.sample_ids = documents.input.sample_ids.subspan(static_cast<std::size_t>(row), 1);
        one.sequences = documents.input.sequences.subspan(static_cast<std::size_t>(row), 1);
        tokens.push_back(part(samples_.tokens[sample], first_[sample], row % 2 == 1));
        const auto length = static_cast<std::int64_t>(tokens.back().size());
        cells += length * length;
        const auto pictures = draw_mask_pictures(encoder, first_row(one), length);
        masks.push_back(pictures.empty() ? full_masks(model, length) : masks_of(model, pictures));
      }
      const std::vector<double> expected = reference_comparison(
          model, copy_weights(parameters), tokens[0], masks[0], tokens[1], masks[1]);
      EXPECT_LT(
          relative_difference(output.logits[i].to(at::kDouble), at::tensor(expected, at::kDouble)),
          1e-5)
          << changes;
      EXPECT_EQ(output.edge_counts[0][i][0][2].item<std::int64_t>(), cells);
    }
  }
}

TEST_F(Pairs, GradientsOfTheComparisonEqualFiniteDifferences) {
  const Model model = small_model(kFull);
  ModelParameters parameters(model, document_shape(), 1);
  scatter(parameters, 2);
  const Encoder encoder(model, parameters);
  const Gradients gradients(parameters);
  cross_entropy_sum(encoder.forward(input(48)).logits, at::tensor({2, 0, 1}, at::kLong)).backward();
  expect_slopes(
      parameters, gradients,
      [&](const Weights& weights) {
        double loss = 0.0;
        const std::vector<std::size_t> targets = {2, 0, 1};
        for (std::size_t i = 0; i < 3; ++i) {
          const auto first = part(samples_.tokens[i], first_[i], false);
          const auto second = part(samples_.tokens[i], first_[i], true);
          loss += reference_cross_entropy(
              reference_comparison(
                  model, weights, first, full_masks(model, static_cast<std::int64_t>(first.size())),
                  second, full_masks(model, static_cast<std::int64_t>(second.size()))),
              targets[i]);
        }
        return loss;
      },
      1e-4);
}

TEST_F(Pairs, GradientsOfScoresEqualFiniteDifferences) {
  const Model model = small_model(kFull);
  ModelParameters parameters(model, score_shape(), 1);
  scatter(parameters, 2);
  const Encoder encoder(model, parameters);
  const Gradients gradients(parameters);
  const std::vector<float> targets = {0.5F, 3.0F, 4.75F};
  // Small gradients, or the rounding of float stands out where the true one is 0 (a key's bias).
  constexpr double kScale = 0.05;
  (squared_error_sum(encoder.forward(input(32)).logits, at::tensor(targets)) * kScale).backward();
  expect_slopes(
      parameters, gradients,
      [&](const Weights& weights) {
        double loss = 0.0;
        for (std::size_t i = 0; i < 3; ++i) {
          const auto length = static_cast<std::int64_t>(samples_.tokens[i].size());
          const double score = reference_encoder(model, score_shape(), weights, samples_.tokens[i],
                                                 full_masks(model, length))
                                   .logits[0];
          loss += kScale * (score - double{targets[i]}) * (score - double{targets[i]});
        }
        return loss;
      },
      1e-4);
}

}  // namespace
}  // namespace sbm::trainer
