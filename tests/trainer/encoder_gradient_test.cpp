#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/trainer/model_fixture.h"
#include "tests/trainer/reference_encoder.h"
#include "tests/trainer/slopes.h"
#include "trainer/encoder.h"
#include "trainer/loss.h"

// Gradients of the encoder against central differences of the referee in double.
namespace sbm::trainer {
namespace {

using namespace testing_support;

TEST(EncoderGradient, OfFullAttentionEqualsFiniteDifferences) {
  const Model model = small_model("attention { type: FULL }");
  ModelParameters parameters(model, class_shape(), 1);
  scatter(parameters, 2);
  const Encoder encoder(model, parameters);
  const Samples samples({9, 14}, 11, 3);
  const Gradients gradients(parameters);
  cross_entropy_sum(encoder.forward(samples.input(0, 2, 16)).logits, at::tensor({2, 0}, at::kLong))
      .backward();
  expect_slopes(
      parameters, gradients,
      [&](const Weights& weights) {
        double loss = 0.0;
        for (std::size_t i = 0; i < 2; ++i) {
          const auto length = static_cast<std::int64_t>(samples.tokens[i].size());
          loss += reference_cross_entropy(
              reference_encoder(model, class_shape(), weights, samples.tokens[i],
                                full_masks(model, length))
                  .logits,
              i == 0 ? 2 : 0);
        }
        return loss;
      },
      1e-4);
}

TEST(EncoderGradient, OfTheDensityTermEqualsFiniteDifferences) {
  // One layer: what comes before its masks does not depend on what was drawn.
  Model model = small_model();
  model.set_layers(1);
  ModelParameters parameters(model, class_shape(), 1);
  scatter(parameters, 2);
  const Encoder encoder(model, parameters);
  const Samples samples({9, 14}, 11, 3);
  const Gradients gradients(parameters);
  const EncoderOutput output = encoder.forward(samples.input(0, 2, 16));
  micro_batch_loss(output.logits.sum() * 0.0, output.expected_density, 2, 2, 10.0).backward();
  EXPECT_GT(gradients.largest("encoder.layers.0.attention.cluster_embedding"), 1e-3);
  expect_slopes(
      parameters, gradients,
      [&](const Weights& weights) {
        double density = 0.0;
        for (const auto& tokens : samples.tokens) {
          const ReferenceOutput result =
              reference_encoder(model, class_shape(), weights, tokens,
                                full_masks(model, static_cast<std::int64_t>(tokens.size())));
          density += (result.density(0, 0) + result.density(0, 1)) / 2;
        }
        return 10.0 * density / 2;
      },
      1e-4);
}

TEST(EncoderGradient, ReachesClustersAndMembershipsThroughTheEstimator) {
  for (const char* extra :
       {"attention { estimator: PAPER }", "attention { estimator: REFERENCE }",
        "attention { estimator: PAPER law: POISSON dropout: 0.1 } dropout: 0.1"}) {
    const Model model = small_model(extra);
    ModelParameters parameters(model, token_shape(), 1);
    scatter(parameters, 2);
    const Encoder encoder(model, parameters);
    const Samples samples({19, 14}, 11, 3);
    const Gradients gradients(parameters);
    EncoderInput input = samples.input(0, 2, 20);
    input.training = true;
    const at::Tensor targets = at::where(input.valid, 1, kIgnoredTarget);
    cross_entropy_sum(encoder.forward(input).logits, targets).backward();
    for (const auto& entry : parameters.layout().entries()) {
      // A key's bias shifts all scores of a row alike, but it moves memberships.
      EXPECT_GT(gradients.largest(entry.spec.name), 1e-6) << extra << ": " << entry.spec.name;
    }
  }
}

TEST(EncoderGradient, AddsUpInTheBoundBuffer) {
  const Model model = small_model();
  ModelParameters parameters(model, class_shape(), 1);
  const Encoder encoder(model, parameters);
  const Samples samples({9, 14}, 11, 3);
  Gradients gradients(parameters);
  const auto backward = [&] {
    cross_entropy_sum(encoder.forward(samples.input(0, 2, 16)).logits,
                      at::tensor({2, 0}, at::kLong))
        .backward();
  };
  backward();
  std::vector<float> twice = gradients.flat();
  for (float& value : twice) value *= 2;
  backward();
  EXPECT_EQ(gradients.flat(), twice);
}

TEST(EncoderGradient, OfPaddingIsZero) {
  const Model model = small_model();
  ModelParameters parameters(model, class_shape(), 1);
  const Encoder encoder(model, parameters);
  const Samples samples({9}, 11, 3);
  const Gradients gradients(parameters);
  const EncoderOutput output = encoder.forward(samples.input(0, 1, 16));
  (output.logits.square().sum() + output.expected_density.sum()).backward();
  const auto width = static_cast<std::size_t>(model.embedding_dim());
  const auto token = gradients.of("encoder.token_embedding.weight").first(width);
  const auto position = gradients.of("encoder.position_embedding.weight").subspan(9 * width);
  EXPECT_TRUE(std::ranges::all_of(token, [](float value) { return value == 0.0F; }));
  EXPECT_TRUE(std::ranges::all_of(position, [](float value) { return value == 0.0F; }));
}

}  // namespace
}  // namespace sbm::trainer
