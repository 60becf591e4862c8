// The quantised P against double precision, and the integer functions against the C library.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/reference/sampler.h"
#include "kernels/sampler_fixed_point.h"
#include "kernels/sampler_quantize.h"
#include "kernels/sampler_threshold.h"
#include "tests/kernels/sampler_problem.h"

namespace sbm::kernels {
namespace {

using reference::SampledGraph;
using testing::mixed_problem;
using testing::Problem;
using testing::Uniform;

/// The largest |quantised P / P - 1| over the cells with P >= least.
double largest_error(Problem& problem, double least) {
  const SampledGraph graph(problem.point(), 0, 0);
  double largest = 0.0;
  for (std::int64_t i = 0; i < problem.params.queries; ++i) {
    for (std::int64_t j = 0; j < problem.params.keys; ++j) {
      const double p = problem.probability(0, i, j);
      if (p < least) continue;
      largest = std::max(largest, std::fabs(graph.quantized_probability(i, j) / p - 1.0));
    }
  }
  return largest;
}

TEST(SamplerQuantize, RelativeErrorOfP) {
  for (const std::int64_t clusters : {1, 3, 32, 128, 256}) {
    for (const float sharpness : {0.01F, 4.0F, 60.0F}) {
      for (const float mass : {1.0F, 0.03F, 0.0005F}) {
        Problem problem = mixed_problem(71, 1, 1, 12, 40, clusters, mass, sharpness, 8.0F);
        EXPECT_LT(largest_error(problem, 1e-6), 1e-3)
            << clusters << " clusters, sharpness " << sharpness << ", mass " << mass;
      }
    }
  }
}

/// A cell in which the strong clusters of query and key do not meet has a larger relative error,
/// but not larger than what both could give allows.
TEST(SamplerQuantize, SharpMembershipsBoundTheAbsoluteError) {
  for (const std::int64_t clusters : {1, 2, 4, 16}) {
    for (const float mass : {0.5F, 0.002F}) {
      Problem problem = mixed_problem(78, 1, 1, 60, 80, clusters, mass, 400.0F, 12.0F);
      const auto k = static_cast<std::size_t>(clusters);
      double strongest = 0.0;
      for (std::size_t c = 0; c < k; ++c) {
        float largest = 0.0F;
        for (std::size_t a = 0; a < k; ++a) largest = std::max(largest, problem.block[a * k + c]);
        strongest += double{largest};
      }
      const SampledGraph graph(problem.point(), 0, 0);
      for (std::size_t i = 0; i < 60; ++i) {
        const float* query = problem.query.data() + i * k;
        const double weight = double{*std::max_element(query, query + k)} * strongest;
        for (std::size_t j = 0; j < 80; ++j) {
          const float* key = problem.key.data() + j * k;
          const double most = weight * double{*std::max_element(key, key + k)};
          const auto row = static_cast<std::int64_t>(i);
          const auto column = static_cast<std::int64_t>(j);
          EXPECT_NEAR(graph.quantized_probability(row, column), problem.probability(0, row, column),
                      2e-4 * most);
        }
      }
    }
  }
}

TEST(SamplerQuantize, NearUniformBlocksLeaveNoBias) {
  Problem problem = mixed_problem(72, 1, 1, 40, 60, 128, 1.0F, 0.05F, 0.02F);
  EXPECT_LT(largest_error(problem, 0.0), 6e-5);
}

TEST(SamplerQuantize, MagnitudesOverThreeOrdersKeepTheirPrecision) {
  Problem problem = mixed_problem(73, 1, 1, 40, 60, 32, 1.0F, 8.0F);
  Uniform uniform(74);
  for (std::vector<float>* memberships : {&problem.query, &problem.key}) {
    for (std::size_t i = 0; i < memberships->size(); i += 32) {
      const float scale = std::pow(10.0F, -3.0F * uniform());
      for (std::size_t c = 0; c < 32; ++c) (*memberships)[i + c] *= scale;
    }
  }
  EXPECT_LT(largest_error(problem, 1e-6), 1e-3);
}

TEST(SamplerQuantize, HardClustersAreExact) {
  Problem problem(1, 1, 4, 4, 4);
  for (std::size_t i = 0; i < 4; ++i) {
    problem.query[i * 4 + i] = 1.0F;
    problem.key[i * 4 + i] = 1.0F;
  }
  for (std::size_t i = 0; i < 16; ++i) problem.block[i] = static_cast<float>(i) / 16.0F;
  const SampledGraph graph(problem.point(), 0, 0);
  for (std::int64_t i = 0; i < 4; ++i) {
    for (std::int64_t j = 0; j < 4; ++j) {
      EXPECT_EQ(graph.quantized_probability(i, j), problem.probability(0, i, j));
    }
  }
}

TEST(SamplerQuantize, LimitsHoldForEveryKindOfRow) {
  Uniform uniform(75);
  for (int trial = 0; trial < 3000; ++trial) {
    const auto clusters = static_cast<std::size_t>(1 + uniform.below(256));
    std::vector<std::uint32_t> product(clusters);
    std::vector<std::int32_t> exponents(clusters);
    const std::int64_t bits = 1 + uniform.below(31);
    const std::int64_t spread = 1 + uniform.below(40);
    for (std::size_t c = 0; c < clusters; ++c) {
      // Values just below powers of two push rounding to the limits.
      const auto most = (std::uint32_t{1} << bits) - 1;
      product[c] = uniform() < 0.5F ? most : static_cast<std::uint32_t>(most * double{uniform()});
      exponents[c] = static_cast<std::int32_t>(uniform.below(spread)) - 5;
    }
    std::vector<std::uint16_t> weights(clusters);
    const int exponent = quantize_weights(product, exponents, 14 + trial % 18, weights.data());
    EXPECT_LE(*std::max_element(weights.begin(), weights.end()), kLargestEntry);
    EXPECT_LE(std::accumulate(weights.begin(), weights.end(), 0U), kLargestWeightSum);
    EXPECT_LE(exponent, 0);
    // Every partial sum is within one half, beside what fell below the carried bits.
    double exact = 0.0;
    double rounded = 0.0;
    for (std::size_t c = 0; c < clusters; ++c) {
      exact += std::ldexp(product[c], exponent + 32 - (14 + trial % 18) - exponents[c]);
      rounded += weights[c];
      EXPECT_NEAR(rounded, exact, 0.5 + static_cast<double>(clusters) * 0x1p-16);
    }
  }
}

TEST(SamplerQuantize, ColumnsOfTheBlockMatrix) {
  Uniform uniform(76);
  for (int trial = 0; trial < 1000; ++trial) {
    const std::int64_t clusters = 1 + uniform.below(256);
    std::vector<float> column(static_cast<std::size_t>(clusters));
    for (float& entry : column) {
      entry = std::ldexp(uniform(), static_cast<int>(uniform.below(30)) - 20 + trial % 90 - 40);
    }
    std::vector<std::uint16_t> quantized(column.size());
    const int exponent = quantize_block_column(column.data(), clusters, 1, quantized.data());
    EXPECT_LE(*std::max_element(quantized.begin(), quantized.end()), kLargestEntry);
    EXPECT_LE(std::accumulate(quantized.begin(), quantized.end(), 0U), kLargestBlockColumnSum);
    EXPECT_LE(exponent, kLargestBlockExponent);
    double exact = 0.0;
    double rounded = 0.0;
    for (std::size_t a = 0; a < column.size(); ++a) {
      exact += std::ldexp(column[a], exponent);
      rounded += quantized[a];
      EXPECT_NEAR(rounded, exact, 0.5 + static_cast<double>(clusters) * 0x1p-16);
    }
  }
}

TEST(SamplerQuantize, MembershipsRoundHalfToEven) {
  const std::vector<float> row = {1.0F, 0.5F, 2.5F / 16384.0F, 3.5F / 16384.0F, 0.0F};
  std::vector<std::uint16_t> quantized(5);
  EXPECT_EQ(quantize_membership(row, quantized.data()), 14);
  EXPECT_THAT(quantized, ::testing::ElementsAre(16384, 8192, 2, 4, 0));
  // The largest value decides the exponent as it rounds: 32767.5 / 32768 would become 32768.
  const float below_one = 1.0F - 0x1p-17F;
  EXPECT_EQ(membership_exponent(below_one), 14);
  EXPECT_EQ(membership_exponent(32767.0F / 32768.0F), 15);
  EXPECT_EQ(membership_exponent(std::numeric_limits<float>::denorm_min()), 31);
  EXPECT_EQ(membership_exponent(0.0F), 31);
}

TEST(SamplerThreshold, SaturatesInsteadOfWrapping) {
  EXPECT_EQ(probability_units(5, 1), 2U);
  EXPECT_EQ(probability_units(5, -1), 10U);
  EXPECT_EQ(probability_units(0x80000000U, -1), kLargestThreshold);
  EXPECT_EQ(probability_units(1, -50), 0x80000000U);
  EXPECT_EQ(probability_units(2, -50), kLargestThreshold);
  EXPECT_EQ(probability_units(0, -50), 0U);
  const std::uint32_t almost_one = 0xFFF00000U;
  const std::uint32_t hundredth = exploration_units(0.01);
  EXPECT_EQ(edge_threshold(MaskLaw::kBernoulli, almost_one, hundredth), kLargestThreshold);
  EXPECT_TRUE(is_saturated(almost_one, hundredth));
  EXPECT_FALSE(is_saturated(almost_one, 0));
  EXPECT_EQ(exploration_units(1.0), kLargestThreshold);
  EXPECT_NEAR(edge_threshold(MaskLaw::kPoisson, almost_one, kLargestThreshold) * 0x1p-32,
              -std::expm1(-2.0), 1e-3);
}

TEST(SamplerThreshold, PoissonSeries) {
  std::uint32_t before = 0;
  for (std::uint64_t x = 0; x < (std::uint64_t{1} << 33) - 1; x += 8191 + x / 4096) {
    const double exact = -std::expm1(-static_cast<double>(x) * 0x1p-32) * 0x1p32;
    const std::uint32_t threshold = poisson_threshold(x);
    ASSERT_LT(std::fabs(threshold - exact), std::min(16.0, 1.0 + exact * 0x1p-28)) << x;
    ASSERT_GE(threshold, before);
    before = threshold;
  }
  EXPECT_EQ(poisson_threshold(0), 0U);
}

TEST(SamplerFixedPoint, NegativeLog) {
  Uniform uniform(77);
  for (int trial = 0; trial < 200000; ++trial) {
    auto x = static_cast<std::uint64_t>(double{uniform()} * 0x1p64);
    x = trial % 2 == 0 ? (x >> uniform.below(63)) | 1 : ~(x >> uniform.below(63));
    const long double exact = x >> 63 != 0
                                  ? -std::log1p(-(static_cast<long double>(0 - x) * 0x1p-64L))
                                  : -std::log(static_cast<long double>(x) * 0x1p-64L);
    const long double found = static_cast<long double>(negative_log(x)) * 0x1p-58L;
    ASSERT_LT(std::fabs(found - exact), 0x1p-57L + 0x1p-59L * exact) << x;
  }
  EXPECT_LE(negative_log(~std::uint64_t{0}), 1U);
  EXPECT_EQ(negative_log(std::uint64_t{1} << 63), kLogOfTwo);
}

}  // namespace
}  // namespace sbm::kernels
