// The law of both branches: counts over many draws against the integer thresholds. Seeds are fixed;
// if they were not, each expectation of this file would fail by chance less than once in 10^6 runs.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/cpu/sampler.h"
#include "kernels/reference/sampler.h"
#include "tests/kernels/sampler_counts.h"
#include "tests/kernels/sampler_problem.h"

namespace sbm::kernels {
namespace {

using reference::SampledGraph;
using testing::Counts;
using testing::kLargestZ;
using testing::mixed_problem;
using testing::Problem;

struct LawCase {
  double density = 0.0;
  MaskLaw law = MaskLaw::kBernoulli;
  std::int64_t clusters = 0;
  bool linear = false;
};

class SamplerLaw : public ::testing::TestWithParam<LawCase> {};

TEST_P(SamplerLaw, EveryCellHasItsProbability) {
  const LawCase& test = GetParam();
  const std::int64_t rows = 12;
  const std::int64_t keys = 150;
  Problem problem = mixed_problem(21, 1, 1, rows, keys, test.clusters, 1.0F, 6.0F);
  double mean = 0.0;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < keys; ++j) mean += problem.probability(0, i, j);
  }
  const auto factor = static_cast<float>(test.density * static_cast<double>(rows * keys) / mean);
  for (float& entry : problem.block) entry *= factor;
  problem.params.law = test.law;
  problem.params.self_loops = SelfLoops::kNone;
  const Counts counts(problem, test.linear ? (test.clusters > 30 ? 4000 : 40000) : 3000);
  counts.expect_law(test.linear);
}

INSTANTIATE_TEST_SUITE_P(Densities, SamplerLaw,
                         ::testing::Values(LawCase{0.001, MaskLaw::kBernoulli, 5, true},
                                           LawCase{0.001, MaskLaw::kPoisson, 5, true},
                                           LawCase{0.003, MaskLaw::kBernoulli, 70, true},
                                           LawCase{0.025, MaskLaw::kBernoulli, 5, false},
                                           LawCase{0.025, MaskLaw::kPoisson, 5, false},
                                           LawCase{0.2, MaskLaw::kBernoulli, 32, false},
                                           LawCase{0.2, MaskLaw::kPoisson, 32, false},
                                           LawCase{0.4, MaskLaw::kBernoulli, 7, false},
                                           LawCase{0.4, MaskLaw::kPoisson, 7, false},
                                           LawCase{0.95, MaskLaw::kBernoulli, 9, false},
                                           LawCase{0.95, MaskLaw::kPoisson, 9, false}));

/// Rows that are sparse on the whole but have cells of every probability: the factor c of the
/// proposals takes each of its values.
TEST(SamplerLinearLaw, HeavyCellsOfSparseRows) {
  for (const MaskLaw law : {MaskLaw::kBernoulli, MaskLaw::kPoisson}) {
    constexpr float kHeavy[] = {0.05F, 0.3F,   0.5F,    0.75F,    0.9F,
                                0.97F, 0.995F, 0.9995F, 0.99999F, 1.0F};
    constexpr std::int64_t kKeys = 8000;
    Problem problem(1, 1, std::ssize(kHeavy), kKeys, 2);
    for (std::size_t i = 0; i < std::size(kHeavy); ++i) {
      problem.query[2 * i] = kHeavy[i];
      problem.query[2 * i + 1] = 0.25F;
    }
    for (std::size_t j = 0; j < kKeys; ++j) problem.key[2 * j + 1] = 0.0001F;
    problem.key[2 * 77] = 1.0F;
    problem.key[2 * 3999 + 1] = 0.3F;
    problem.block = {1.0F, 0.0F, 0.0F, 1.0F};
    problem.params.law = law;
    problem.params.self_loops = SelfLoops::kNone;
    const Counts counts(problem, 1500);
    counts.expect_law(true);
  }
}

TEST(SamplerLinearLaw, ExplorationHasItsOwnProcess) {
  Problem problem = mixed_problem(31, 1, 1, 10, 120, 3, 0.001F);
  problem.params.exploration = 0.002;
  problem.params.self_loops = SelfLoops::kNone;
  for (std::int64_t j = 0; j < 120; ++j) problem.key_valid.push_back(j % 5 != 2 ? 1 : 0);
  const Counts counts(problem, 20000);
  counts.expect_law(true);
}

/// Keys whose memberships are 2^-20 of the largest, beyond what the proposal weights hold exactly.
TEST(SamplerLinearLaw, KeysOfVeryDifferentMagnitude) {
  Problem problem = mixed_problem(32, 1, 1, 6, 600, 3, 2.0F);
  for (std::size_t j = 0; j < 600; ++j) {
    for (std::size_t c = 0; c < 3; ++c) {
      problem.key[j * 3 + c] *= j == 5 ? 1.0F : std::ldexp(1.0F, j % 2 == 0 ? -12 : -20);
    }
  }
  problem.params.self_loops = SelfLoops::kNone;
  const Counts counts(problem, 8000);
  counts.expect_law(true);
}

/// The case that exposes a sampler which pairs clusters wrongly (method, 13.1).
TEST(SamplerLaw, AntiDiagonalBlocks) {
  Problem problem(1, 1, 40, 60, 4);
  testing::Uniform uniform(41);
  for (float& value : problem.query) value = uniform();
  for (float& value : problem.key) value = uniform();
  problem.block.assign(16, 0.0F);
  for (std::size_t a = 0; a < 4; ++a)
    problem.block[a * 4 + (3 - a)] = 0.1F + 0.1F * static_cast<float>(a);
  problem.params.self_loops = SelfLoops::kNone;
  Counts counts(problem, 2000);
  counts.expect_law(false);
  double square = 0.0;
  double noise = 0.0;
  for (std::int64_t i = 0; i < 40; ++i) {
    for (std::int64_t j = 0; j < 60; ++j) {
      const double p = problem.probability(0, i, j);
      square += std::pow(counts.count(i, j) / 2000.0 - p, 2);
      noise += p * (1.0 - p) / 2000.0;
    }
  }
  // Against P in double precision: nothing but Monte-Carlo noise, relative spread sqrt(2 / 2400).
  EXPECT_NEAR(square / noise, 1.0, 5.0 * std::sqrt(2.0 / 2400.0));
}

TEST(SamplerLaw, DensityOfTheInitialState) {
  // Memberships near one half and an S near uniform, where plain rounding would bias every row.
  for (const double exploration : {0.0, 0.01}) {
    Problem problem = mixed_problem(51, 1, 1, 512, 512, 128, 1.0F, 0.02F, 0.01F);
    problem.params.exploration = exploration;
    problem.params.self_loops = SelfLoops::kNone;
    const SampledGraph graph(problem.point(), 0, 0);
    double expected = 0.0;
    double in_double = 0.0;
    for (std::int64_t i = 0; i < 512; i += 8) {
      for (std::int64_t j = 0; j < 512; j += 8) {
        expected += graph.threshold(i, j) * 0x1p-32 / 4096.0;
        in_double += (problem.probability(0, i, j) + exploration) / 4096.0;
      }
    }
    EXPECT_NEAR(expected, in_double, 2e-5 * in_double);
    EXPECT_NEAR(in_double, 0.25 + exploration, 1e-3);
    SerialExecutor serial;
    std::vector<EdgeList> graphs(1);
    ASSERT_TRUE(cpu::sample_edges(problem.params, serial, graphs).ok());
    const double density = static_cast<double>(graphs[0].drawn_edges) / (512.0 * 512.0);
    EXPECT_NEAR(density, in_double, 5.0 * std::sqrt(0.19) / 512.0);
  }
}

TEST(SamplerProbes, EachCellWithItsRateAndNotOnTheDiagonal) {
  for (const double rate : {0.002, 0.1, 0.7}) {
    Problem problem = mixed_problem(61, 1, 1, 10, 90, 2, 1.0F);
    problem.params.probe_rate = rate;
    problem.params.self_loops = SelfLoops::kRemove;
    problem.query_valid.assign(10, 1);
    problem.query_valid[4] = 0;
    problem.key_valid.assign(90, 1);
    problem.key_valid[50] = 0;
    constexpr int kDraws = 4000;
    std::vector<double> counts(900);
    for (int draw = 0; draw < kDraws; ++draw) {
      problem.probe_keys[0] = 0xA0761D6478BD642FU * static_cast<std::uint64_t>(draw + 1);
      const SampledGraph graph(problem.point(), 0, 0);
      for (std::int64_t i = 0; i < 10; ++i) {
        const std::vector<std::int32_t> probes = graph.probes(i);
        EXPECT_TRUE(std::is_sorted(probes.begin(), probes.end()));
        for (const std::int32_t j : probes) ++counts[static_cast<std::size_t>(i * 90 + j)];
      }
    }
    const double spread = kDraws * rate * (1.0 - rate);
    double total = 0.0;
    double chi_square = 0.0;
    double cells = 0.0;
    for (std::int64_t i = 0; i < 10; ++i) {
      for (std::int64_t j = 0; j < 90; ++j) {
        const double count = counts[static_cast<std::size_t>(i * 90 + j)];
        if (i == j || i == 4 || j == 50) {
          EXPECT_EQ(count, 0.0);
          continue;
        }
        cells += 1.0;
        total += count;
        chi_square += std::pow(count - kDraws * rate, 2) / spread;
      }
    }
    EXPECT_NEAR(total, cells * kDraws * rate, kLargestZ * std::sqrt(cells * spread));
    EXPECT_NEAR(chi_square, cells, kLargestZ * std::sqrt(cells * (2.0 + 1.0 / spread)));
  }
}

TEST(SamplerProbes, AllOrNone) {
  Problem problem = mixed_problem(62, 1, 1, 3, 5, 2, 1.0F);
  problem.params.self_loops = SelfLoops::kNone;
  problem.params.probe_rate = 1.0;
  EXPECT_THAT(SampledGraph(problem.point(), 0, 0).probes(1), ::testing::ElementsAre(0, 1, 2, 3, 4));
  problem.params.self_loops = SelfLoops::kAdd;
  EXPECT_THAT(SampledGraph(problem.point(), 0, 0).probes(1), ::testing::ElementsAre(0, 2, 3, 4));
  problem.params.probe_rate = 0.0;
  EXPECT_THAT(SampledGraph(problem.point(), 0, 0).probes(1), ::testing::IsEmpty());
}

}  // namespace
}  // namespace sbm::kernels
