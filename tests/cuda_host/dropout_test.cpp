#include "kernels/cuda/dropout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/random_stream.h"
#include "cuda_host/device_buffer.h"
#include "cuda_host/order.h"
#include "kernels/cpu/dropout.h"
#include "kernels/cuda/device.cuh"
#include "tests/kernels/thread_executor.h"

namespace sbm::cuda_host {
namespace {

using ::testing::HasSubstr;

struct Sizes {
  std::int64_t samples;
  std::int64_t tokens;
  std::int64_t features;
  [[nodiscard]] std::size_t elements() const {
    return static_cast<std::size_t>(samples * tokens * features);
  }
};

std::vector<PhiloxKey> keys_of(std::int64_t samples) {
  std::vector<PhiloxKey> keys;
  for (std::int64_t sample = 0; sample < samples; ++sample) {
    keys.push_back(stream_key(19, {.purpose = StreamPurpose::kResidualDropout,
                                   .sample = static_cast<std::uint64_t>(sample)}));
  }
  return keys;
}

std::vector<float> random_values(std::size_t count) {
  std::mt19937 generator(3);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(generator);
  return values;
}

std::vector<float> on_cpu(const std::vector<float>& input, const Sizes& sizes, double probability) {
  std::vector<float> output(input.size());
  const std::vector<PhiloxKey> keys = keys_of(sizes.samples);
  kernels::testing::ThreadExecutor executor(1);
  const kernels::Status status = kernels::cpu::keyed_dropout(
      input, output, sizes.tokens, sizes.features, probability, keys, executor);
  EXPECT_TRUE(status.ok()) << status.message();
  return output;
}

template <class Element>
std::vector<Element> on_device(const std::vector<Element>& input, const Sizes& sizes,
                               double probability, std::size_t skipped = 0) {
  // `skipped` elements before the data take its alignment away.
  std::vector<Element> shifted(skipped);
  shifted.insert(shifted.end(), input.begin(), input.end());
  const DeviceBuffer<Element> from(shifted, "input");
  const DeviceBuffer<Element> to(shifted.size(), "output");
  const DeviceBuffer<PhiloxKey> keys(keys_of(sizes.samples), "keys");
  const kernels::Status status = kernels::cuda::keyed_dropout(
      {.precision = sizeof(Element) == 2 ? kernels::cuda::Precision::kBfloat16
                                         : kernels::cuda::Precision::kFloat32,
       .input = from.data() + skipped,
       .output = to.data() + skipped,
       .keys = keys.data(),
       .samples = sizes.samples,
       .tokens = sizes.tokens,
       .features = sizes.features,
       .probability = probability},
      test_stream());
  EXPECT_TRUE(status.ok()) << status.message();
  const std::vector<Element> all = to.download();
  return {all.begin() + static_cast<std::ptrdiff_t>(skipped), all.end()};
}

template <class Element>
bool equal_bits(const std::vector<Element>& a, const std::vector<Element>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(Element)) == 0);
}

const Sizes kSizes[] = {{2, 5, 64}, {3, 7, 13}, {1, 1, 1}, {2, 40, 24}, {1, 3, 8}, {4, 0, 16}};

TEST(DeviceDropout, HasTheBitsOfTheCpu) {
  for (const Sizes& sizes : kSizes) {
    const std::vector<float> input = random_values(sizes.elements());
    for (const double probability : {0.0, 0.1, 0.5}) {
      const std::vector<float> expected = on_cpu(input, sizes, probability);
      for_each_order([&] {
        EXPECT_TRUE(equal_bits(on_device(input, sizes, probability), expected));
        EXPECT_TRUE(equal_bits(on_device(input, sizes, probability, 1), expected));
      });
    }
  }
}

TEST(DeviceDropout, RoundsBfloat16Once) {
  for (const Sizes& sizes : kSizes) {
    std::vector<__nv_bfloat16> input;
    std::vector<float> wide;
    for (const float value : random_values(sizes.elements())) {
      input.push_back(__float2bfloat16(value));
      wide.push_back(__bfloat162float(input.back()));
    }
    std::vector<__nv_bfloat16> expected;
    for (const float value : on_cpu(wide, sizes, 0.3)) {
      expected.push_back(__float2bfloat16(value));
    }
    for_each_order([&] {
      EXPECT_TRUE(equal_bits(on_device(input, sizes, 0.3), expected));
      EXPECT_TRUE(equal_bits(on_device(input, sizes, 0.3, 3), expected));
    });
  }
}

TEST(DeviceDropout, RefusesWhatDoesNotFit) {
  const DeviceBuffer<float> values(8, "values");
  const DeviceBuffer<PhiloxKey> keys(1, "keys");
  const kernels::cuda::DropoutParams good = {.input = values.data(),
                                             .output = values.data(),
                                             .keys = keys.data(),
                                             .samples = 1,
                                             .tokens = 1,
                                             .features = 8,
                                             .probability = 0.5};
  const auto message = [&](auto change) {
    kernels::cuda::DropoutParams params = good;
    change(params);
    return kernels::cuda::keyed_dropout(params, test_stream()).message();
  };
  EXPECT_THAT(message([](auto& p) { p.probability = 1.0; }), HasSubstr("probability: expected"));
  EXPECT_THAT(message([](auto& p) { p.probability = -0.1; }), HasSubstr("probability: expected"));
  EXPECT_THAT(message([](auto& p) { p.keys = nullptr; }), HasSubstr("found null"));
  EXPECT_THAT(message([](auto& p) { p.tokens = -1; }), HasSubstr("tokens: expected 0 to"));
  EXPECT_THAT(message([](auto& p) { p.features = std::int64_t{1} << 33; }),
              HasSubstr("features: expected 0 to"));
  EXPECT_THAT(message([](auto& p) {
                p.samples = std::int64_t{1} << 31;
                p.tokens = std::int64_t{1} << 31;
                p.features = std::int64_t{1} << 31;
              }),
              HasSubstr("expected below 2^63"));
}

}  // namespace
}  // namespace sbm::cuda_host
