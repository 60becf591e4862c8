#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <stdexcept>

#include "base/random_stream.h"
#include "kernels/torch/attention.h"
#include "tests/kernels_torch/test_device.h"

namespace sbm::kernels::torch {
namespace {

at::Tensor sample_keys(std::int64_t samples) {
  at::Tensor keys = at::empty({samples}, at::kLong);
  for (std::int64_t sample = 0; sample < samples; ++sample) {
    keys[sample] =
        static_cast<std::int64_t>(stream_key(3, {.purpose = StreamPurpose::kResidualDropout,
                                                 .sample = static_cast<std::uint64_t>(sample)}));
  }
  return keys.to(test_device());
}

TEST(KeyedDropoutOperator, ProbabilityZeroReturnsTheInputItself) {
  const at::Tensor input = randn_on_device({2, 5, 6});
  EXPECT_TRUE(keyed_dropout(input, sample_keys(2), 0.0).is_same(input));
}

TEST(KeyedDropoutOperator, GradientHasTheMaskOfTheOutput) {
  at::manual_seed(1);
  const at::Tensor input = randn_on_device({3, 41, 24}).requires_grad_(true);
  const at::Tensor output = keyed_dropout(input, sample_keys(3), 0.25);
  EXPECT_TRUE(at::allclose(output, input * (output != 0) / 0.75));
  const at::Tensor grad_output = randn_on_device({3, 41, 24});
  output.backward(grad_output);
  EXPECT_TRUE(at::allclose(input.grad(), grad_output * (output != 0) / 0.75));
}

TEST(KeyedDropoutOperator, IsLinearSoItsGradientCanBeDifferentiated) {
  const at::Tensor input = randn_on_device({2, 9, 8}).requires_grad_(true);
  const at::Tensor grad_output = randn_on_device({2, 9, 8}).requires_grad_(true);
  const at::Tensor output = keyed_dropout(input, sample_keys(2), 0.5);
  const auto gradient = ::torch::autograd::grad({output}, {input}, {grad_output}, true, true);
  gradient[0].sum().backward();
  EXPECT_TRUE(at::allclose(grad_output.grad(), (output != 0) * 2.0F));
}

TEST(KeyedDropoutOperator, LayoutAndThreadsDoNotChangeBits) {
  const int threads = at::get_num_threads();
  const at::Tensor input = randn_on_device({4, 400, 96});
  at::set_num_threads(1);
  const at::Tensor expected = keyed_dropout(input, sample_keys(4), 0.1);
  at::set_num_threads(2);
  EXPECT_TRUE(at::equal(keyed_dropout(input, sample_keys(4), 0.1), expected));
  const at::Tensor strided = input.transpose(0, 2).contiguous().transpose(0, 2);
  EXPECT_TRUE(at::equal(keyed_dropout(strided, sample_keys(4), 0.1), expected));
  at::set_num_threads(threads);
}

TEST(KeyedDropoutOperator, PaddingDoesNotChangeBits) {
  const at::Tensor padded = randn_on_device({4, 83, 24});
  const at::Tensor kept = padded.narrow(1, 0, 59).contiguous();
  EXPECT_TRUE(at::equal(keyed_dropout(padded, sample_keys(4), 0.3).narrow(1, 0, 59),
                        keyed_dropout(kept, sample_keys(4), 0.3)));
}

TEST(KeyedDropoutOperator, SavesNothingWithoutGradients) {
  const at::Tensor input = randn_on_device({1, 4, 4}).requires_grad_(true);
  const at::NoGradGuard no_grad;
  EXPECT_EQ(keyed_dropout(input, sample_keys(1), 0.5).grad_fn(), nullptr);
}

TEST(KeyedDropoutOperator, WidensUnderAutocastAndKnowsItsShapeWithoutData) {
  const at::Tensor input = at::randn({1, 4, 4}).to(at::kBFloat16);
  at::autocast::set_autocast_enabled(at::kCPU, true);
  const at::Tensor output = keyed_dropout(input, sample_keys(1).to(at::kCPU), 0.5);
  at::autocast::set_autocast_enabled(at::kCPU, false);
  EXPECT_EQ(output.scalar_type(), at::kFloat);
  const at::Tensor meta =
      keyed_dropout(at::empty({1, 4, 4}, at::kMeta), sample_keys(1).to(at::kMeta), 0.5);
  EXPECT_EQ(meta.sizes(), at::IntArrayRef({1, 4, 4}));
}

TEST(KeyedDropoutOperator, RefusesWhatDoesNotFit) {
  const at::Tensor input = randn_on_device({2, 4, 4});
  EXPECT_THROW(keyed_dropout(input, sample_keys(3), 0.5), c10::Error);
  EXPECT_THROW(keyed_dropout(input[0], sample_keys(2), 0.5), c10::Error);
  EXPECT_THROW(keyed_dropout(input.to(at::kDouble), sample_keys(2), 0.5), c10::Error);
  EXPECT_THROW(keyed_dropout(input, sample_keys(2).to(at::kInt), 0.5), c10::Error);
  EXPECT_THROW(keyed_dropout(input, sample_keys(2), 1.0), std::invalid_argument);
  EXPECT_THROW(keyed_dropout(input, sample_keys(2), -0.5), std::invalid_argument);
}

}  // namespace
}  // namespace sbm::kernels::torch
