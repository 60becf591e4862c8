#include "trainer/attention_layer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "tests/trainer/model_fixture.h"

namespace sbm::trainer {
namespace {

using namespace testing_support;

Attention attention(const std::string& text) {
  return parse_config("model { attention {" + text + "} }", "test").model().attention();
}

TEST(AttentionOptions, SayWhatTheConfigurationSays) {
  const auto options = attention_options(
      attention("law: POISSON self_loops: REMOVE estimator: REFERENCE clip: 0.5 exploration: 0.02 "
                "dropout: 0.25"),
      MaskControl::kLearned, true);
  EXPECT_EQ(options.law, kernels::MaskLaw::kPoisson);
  EXPECT_EQ(options.self_loops, kernels::SelfLoops::kRemove);
  EXPECT_EQ(options.estimator, kernels::Estimator::kReference);
  EXPECT_EQ(options.clip, 0.5);
  EXPECT_EQ(options.exploration, 0.02);
  EXPECT_EQ(options.dropout, 0.25);
  EXPECT_EQ(options.probe_rate, 0.0) << "only TRAPEZOID probes";

  const auto probing = attention_options(
      attention("estimator: TRAPEZOID probe_rate: 0.3 path: DENSE"), MaskControl::kLearned, true);
  EXPECT_EQ(probing.estimator, kernels::Estimator::kTrapezoid);
  EXPECT_EQ(probing.probe_rate, 0.3);
  EXPECT_EQ(probing.path, kernels::AttentionPath::kDense);
  // Nothing learns in an evaluation.
  EXPECT_EQ(
      attention_options(attention("estimator: TRAPEZOID"), MaskControl::kLearned, false).probe_rate,
      0.0);

  const auto defaults = attention_options(attention(""), MaskControl::kLearned, true);
  EXPECT_EQ(defaults.law, kernels::MaskLaw::kBernoulli);
  EXPECT_EQ(defaults.self_loops, kernels::SelfLoops::kAdd);
  EXPECT_EQ(defaults.estimator, kernels::Estimator::kPaper);
  EXPECT_EQ(
      attention_options(attention("self_loops: NONE"), MaskControl::kLearned, true).self_loops,
      kernels::SelfLoops::kNone);
}

TEST(AttentionOptions, DropNothingInEvaluationAndFillTheFullMask) {
  const Attention config = attention("law: POISSON dropout: 0.25");
  EXPECT_EQ(attention_options(config, MaskControl::kLearned, false).dropout, 0.0);
  EXPECT_EQ(attention_options(config, MaskControl::kRandom, false).law, kernels::MaskLaw::kPoisson);
  EXPECT_EQ(attention_options(config, MaskControl::kFull, false).law, kernels::MaskLaw::kBernoulli);
}

TEST(AttentionLayer, DropsAttentionWeightsInTrainingOnly) {
  const at::NoGradGuard no_gradients;
  const Model model = small_model("attention { dropout: 0.5 }");
  const ModelParameters parameters(model, class_shape(), 1);
  const AttentionLayer layer(model, parameters, 0);
  const Samples samples({20, 15}, 11, 3);
  EncoderInput input = samples.input(0, 2, 20);
  at::manual_seed(1);
  const at::Tensor hidden = at::randn({2, 20, 12});
  const at::Tensor evaluated = layer.forward(hidden, input).output;
  EXPECT_TRUE(at::equal(layer.forward(hidden, input).output, evaluated));
  input.training = true;
  const at::Tensor trained = layer.forward(hidden, input).output;
  EXPECT_EQ(trained.sizes().vec(), (std::vector<std::int64_t>{2, 20, 12}));
  EXPECT_FALSE(at::allclose(trained, evaluated));
}

}  // namespace
}  // namespace sbm::trainer
