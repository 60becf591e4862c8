#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/trainer/model_fixture.h"
#include "tests/trainer/test_device.h"
#include "trainer/encoder.h"
#include "trainer/loss.h"
#include "trainer/metrics.h"
#include "trainer/upload.h"

// What a model computes is the same on every device: masks to the bit, numbers to rounding.
namespace sbm::trainer {
namespace {

using namespace testing_support;

class Devices : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(All, Devices, ::testing::Values(at::kCPU, at::kCUDA), device_name);

const std::vector<std::string>& models() {
  static const std::vector<std::string> kModels = {
      "", "dropout: 0.2 attention { dropout: 0.2 estimator: TRAPEZOID }",
      "attention { type: FULL }"};
  return kModels;
}

struct Pass {
  at::Tensor logits, density, counts, totals;
  std::vector<float> gradient;
};

Pass pass_on(at::Device device, const std::string& changes) {
  const Model model = small_model(changes);
  ModelParameters parameters(model, class_shape(), 3, device);
  scatter(parameters, 8);
  parameters.send();
  const at::Tensor gradient =
      at::zeros({parameters.layout().size()}, at::TensorOptions(at::kFloat).device(device));
  parameters.bind_gradients(
      {gradient.mutable_data_ptr<float>(), static_cast<std::size_t>(gradient.numel())});
  const Encoder encoder(model, parameters);
  const Samples samples({17, 30, 5}, 11, 2);
  EncoderInput input = samples.input(0, 3, 32);
  input.training = true;
  const at::Tensor targets = upload(at::tensor({1, 0, 3}, at::kLong), device);
  const EncoderOutput output = encoder.forward(input);
  micro_batch_loss(cross_entropy_sum(output.logits, targets), output.expected_density, 3, 3, 0.1)
      .backward();
  Pass pass;
  pass.logits = output.logits.detach().cpu();
  pass.density = output.expected_density.detach().cpu();
  pass.counts = output.edge_counts.cpu();
  pass.totals = packed_totals(data::LabelKind::kClass, class_probabilities(output.logits), targets,
                              output.valid, output.edge_counts)
                    .cpu();
  const at::Tensor host = gradient.cpu();
  pass.gradient.assign(host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel());
  return pass;
}

TEST_P(Devices, ForwardAndBackwardAgreeWithTheCpu) {
  for (const std::string& changes : models()) {
    SCOPED_TRACE(changes);
    const Pass here = pass_on(device(), changes);
    const Pass cpu = pass_on(at::kCPU, changes);
    EXPECT_TRUE(at::equal(here.counts, cpu.counts));
    EXPECT_LT(relative_difference(here.logits, cpu.logits), 1e-4);
    EXPECT_LT(relative_difference(here.density, cpu.density), 1e-5);
    EXPECT_LT(relative_difference(here.totals, cpu.totals), 1e-4);
    const auto tensor = [](const std::vector<float>& values) { return at::tensor(values); };
    EXPECT_GT(tensor(cpu.gradient).abs().max().item<float>(), 0.0F);
    EXPECT_LT(relative_difference(tensor(here.gradient), tensor(cpu.gradient)), 1e-3);
  }
}

TEST_P(Devices, PackedTotalsAreThoseThatAreCounted) {
  const at::Tensor probabilities =
      at::tensor({0.1, 0.9, 0.7, 0.3, 0.5, 0.5}, at::kDouble).view({3, 2}).to(device());
  const at::Tensor targets = at::tensor({1, 1, -1}, at::kLong).to(device());
  const at::Tensor valid = at::tensor({1, 1, 0}, at::kLong).to(at::kBool).view({3, 1}).to(device());
  const at::Tensor edges = at::arange(2 * 3 * 2 * 3, at::kLong).view({2, 3, 2, 3}).to(device());
  const at::Tensor packed =
      packed_totals(data::LabelKind::kClass, probabilities, targets, valid, edges);
  EXPECT_EQ(packed.device().type(), GetParam());
  ASSERT_EQ(packed.numel(), totals_width(2, 2));
  const at::Tensor host = packed.cpu();
  const std::vector<double> values(host.const_data_ptr<double>(),
                                   host.const_data_ptr<double>() + host.numel());
  // loss, correct, targets, samples, tokens, true and false positive, false negative, positions
  EXPECT_DOUBLE_EQ(values[0], -std::log(0.9) - std::log(0.3));
  EXPECT_EQ(std::vector<double>(values.begin() + 1, values.begin() + 9),
            (std::vector<double>{1, 2, 3, 2, 1, 0, 1, 3}));
  // Drawn edges of layer 0, head 1: elements 3, 9 and 15; the last valid cells: 23, 29 and 35.
  EXPECT_EQ(values[10], 27.0);
  EXPECT_EQ(values.back(), 87.0);
  EXPECT_EQ(count_totals(data::LabelKind::kClass, probabilities, targets, valid, edges).pack(),
            values);
}

TEST_P(Devices, WrittenWeightsReachTheModelWhenSent) {
  ModelParameters parameters(small_model(), class_shape(), 3, device());
  const at::Tensor& bias = parameters.get("head.output.bias");
  for (const auto& entry : parameters.layout().entries()) {
    if (entry.spec.name != "head.output.bias") continue;
    parameters.weights()[static_cast<std::size_t>(entry.range.begin) + 2] = 42.0F;
  }
  parameters.send();
  EXPECT_EQ(bias.device().type(), GetParam());
  EXPECT_EQ(bias[2].item<float>(), 42.0F);
}

}  // namespace
}  // namespace sbm::trainer
