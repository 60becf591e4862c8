// The CPU sampler against the reference, bit for bit, on every instruction set of this machine.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cpu/sampler.h"
#include "kernels/reference/sampler.h"
#include "tests/kernels/sampler_problem.h"
#include "tests/kernels/sampler_targets.h"
#include "tests/kernels/thread_executor.h"

namespace sbm::kernels {
namespace {

using testing::ForcedTarget;
using testing::mixed_problem;
using testing::Problem;
using testing::supported_targets;
using testing::ThreadExecutor;
using testing::Uniform;

void expect_equal(const EdgeList& expected, const EdgeList& found) {
  EXPECT_EQ(expected.row_offsets, found.row_offsets);
  EXPECT_EQ(expected.columns, found.columns);
  EXPECT_EQ(expected.gates, found.gates);
  EXPECT_EQ(expected.probabilities, found.probabilities);
  EXPECT_EQ(expected.probes.row_offsets, found.probes.row_offsets);
  EXPECT_EQ(expected.probes.columns, found.probes.columns);
  EXPECT_EQ(expected.probes.gates, found.probes.gates);
  EXPECT_EQ(expected.probes.probabilities, found.probes.probabilities);
  EXPECT_EQ(expected.diagonal_forced, found.diagonal_forced);
  EXPECT_EQ(expected.drawn_edges, found.drawn_edges);
  EXPECT_EQ(expected.forced_edges, found.forced_edges);
  EXPECT_EQ(expected.valid_cells, found.valid_cells);
}

void check_all_targets(Problem& problem) {
  const SamplingParams& params = problem.point();
  const auto graphs = static_cast<std::size_t>(problem.graphs());
  std::vector<EdgeList> expected(graphs);
  ASSERT_EQ(reference::sample_edges(params, expected).message(), "");
  for (const std::int64_t target : supported_targets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    const ForcedTarget forced(target);
    SerialExecutor serial;
    std::vector<EdgeList> found(graphs);
    ASSERT_EQ(cpu::sample_edges(params, serial, found).message(), "");
    for (std::size_t i = 0; i < graphs; ++i) expect_equal(expected[i], found[i]);
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(SamplerEquality, RandomProblemsOnEveryTarget) {
  Uniform uniform(11);
  for (int trial = 0; trial < 60; ++trial) {
    const std::int64_t clusters = trial % 6 == 0 ? 1 + uniform.below(256) : 1 + uniform.below(40);
    const std::int64_t queries = 1 + uniform.below(90);
    const std::int64_t keys = 1 + uniform.below(300);
    const float mass = std::ldexp(2.0F, -static_cast<int>(uniform.below(14)));
    Problem problem = mixed_problem(static_cast<std::uint64_t>(trial), 1 + trial % 2, 1 + trial % 3,
                                    queries, keys, clusters, mass, 1.0F + 9.0F * uniform());
    problem.params.law = trial % 2 == 0 ? MaskLaw::kBernoulli : MaskLaw::kPoisson;
    problem.params.self_loops = static_cast<SelfLoops>(trial % 3);
    constexpr double kExplorations[] = {0.0, 0.01, 0.0, 1.0, 0.3, 0.0, 1e-4};
    problem.params.exploration = kExplorations[trial % 7];
    constexpr double kProbeRates[] = {0.0, 0.1, 1.0, 0.7};
    problem.params.probe_rate = kProbeRates[trial % 4];
    if (trial % 4 == 1) {
      // Keys and queries whose magnitudes differ by 10^4.
      for (std::size_t j = 0; j < problem.key.size() / clusters; ++j) {
        const float scale = std::ldexp(1.0F, -static_cast<int>(uniform.below(14)));
        for (std::int64_t c = 0; c < clusters; ++c) problem.key[j * clusters + c] *= scale;
      }
    }
    if (trial % 5 == 2) {
      for (std::int64_t i = 0; i < problem.params.batch * queries; ++i) {
        problem.query_valid.push_back(uniform() < 0.8F ? 1 : 0);
      }
      for (std::int64_t j = 0; j < problem.params.batch * keys; ++j) {
        problem.key_valid.push_back(uniform() < 0.7F ? 1 : 0);
      }
    }
    SCOPED_TRACE("trial " + std::to_string(trial));
    check_all_targets(problem);
    if (HasFailure()) return;
  }
}

TEST(SamplerEquality, ThreadsAndReuseOfMemoryChangeNothing) {
  Problem problem = mixed_problem(5, 1, 3, 600, 210, 9, 0.7F);
  problem.params.exploration = 0.01;
  problem.params.probe_rate = 0.2;
  const SamplingParams& params = problem.point();
  SerialExecutor serial;
  std::vector<EdgeList> expected(3);
  ASSERT_TRUE(cpu::sample_edges(params, serial, expected).ok());
  std::vector<EdgeList> found(3);
  // More threads than graphs: all rows in pieces; one or three: whole graphs; two: both.
  for (const int concurrency : {8, 1, 2, 3, 8}) {
    ThreadExecutor executor(2, concurrency);
    ASSERT_TRUE(cpu::sample_edges(params, executor, found).ok());
    for (std::size_t i = 0; i < 3; ++i) expect_equal(expected[i], found[i]);
  }
}

TEST(SamplerEquality, EmptySidesInPieces) {
  for (const auto& [queries, keys] : {std::pair(0, 300), std::pair(300, 0), std::pair(0, 0)}) {
    Problem problem(1, 1, queries, keys, 3);
    problem.params.probe_rate = 0.3;
    const SamplingParams& params = problem.point();
    std::vector<EdgeList> expected(1);
    ASSERT_TRUE(reference::sample_edges(params, expected).ok());
    ThreadExecutor executor(2, 4);
    std::vector<EdgeList> found(1);
    ASSERT_TRUE(cpu::sample_edges(params, executor, found).ok());
    expect_equal(expected[0], found[0]);
  }
}

TEST(SamplerEquality, BadValuesInAnyPiece) {
  for (const std::size_t token : {0, 290, 599}) {
    for (const bool in_key : {false, true}) {
      Problem problem = mixed_problem(7, 1, 1, 600, 600, 3, 0.5F);
      (in_key ? problem.key : problem.query)[token * 3 + 1] = 2.0F;
      std::vector<EdgeList> graphs(1);
      const std::string expected = reference::sample_edges(problem.point(), graphs).message();
      EXPECT_THAT(expected, ::testing::HasSubstr("expected a number in [0, 1], found 2"));
      ThreadExecutor executor(2, 4);
      EXPECT_EQ(cpu::sample_edges(problem.params, executor, graphs).message(), expected);
    }
  }
}

TEST(SamplerEquality, PiecesJoinTheirGates) {
  // Saturated edges in the last rows only: most pieces have no gates of their own.
  for (const MaskLaw law : {MaskLaw::kBernoulli, MaskLaw::kPoisson}) {
    for (const SelfLoops self_loops : {SelfLoops::kAdd, SelfLoops::kNone}) {
      Problem problem = mixed_problem(6, 1, 1, 500, 520, 4, 4.0F);
      problem.params.law = law;
      problem.params.self_loops = self_loops;
      for (std::size_t i = 0; i < 400 * 4; ++i) problem.query[i] *= 0.05F;
      const SamplingParams& params = problem.point();
      std::vector<EdgeList> expected(1);
      ASSERT_TRUE(reference::sample_edges(params, expected).ok());
      EXPECT_FALSE(expected[0].gates.empty());
      ThreadExecutor executor(2, 4);
      std::vector<EdgeList> found(1);
      ASSERT_TRUE(cpu::sample_edges(params, executor, found).ok());
      expect_equal(expected[0], found[0]);
    }
  }
}

TEST(SamplerEquality, WithoutProbeKeysNothingIsKept) {
  Problem problem = mixed_problem(5, 1, 1, 50, 40, 9, 0.7F);
  problem.params.probe_rate = 0.5;
  SamplingParams params = problem.point();
  SerialExecutor serial;
  std::vector<EdgeList> graphs(1);
  ASSERT_TRUE(cpu::sample_edges(params, serial, graphs).ok());
  EXPECT_EQ(graphs[0].probabilities.size(), graphs[0].columns.size());
  EXPECT_FALSE(graphs[0].probes.columns.empty());
  const std::vector<std::int32_t> columns = graphs[0].columns;
  params.probe_keys = nullptr;
  params.probe_rate = 0.0;
  ASSERT_TRUE(cpu::sample_edges(params, serial, graphs).ok());
  EXPECT_EQ(graphs[0].columns, columns);
  EXPECT_TRUE(graphs[0].probabilities.empty());
  EXPECT_TRUE(graphs[0].probes.row_offsets.empty());
  EXPECT_TRUE(graphs[0].probes.columns.empty());
}

TEST(SamplerEquality, PaddingDoesNotReachTheMask) {
  // The same sample in two padded lengths, and with other numbers in its padding.
  const Problem sample = mixed_problem(8, 1, 1, 70, 70, 5, 0.2F);
  std::vector<std::vector<EdgeList>> graphs;
  for (const std::int64_t padded : {70, 100, 200}) {
    Problem problem(1, 1, padded, padded, 5);
    std::copy(sample.query.begin(), sample.query.end(), problem.query.begin());
    std::copy(sample.key.begin(), sample.key.end(), problem.key.begin());
    for (std::size_t i = 70 * 5; i < problem.key.size(); ++i) {
      problem.key[i] = padded == 100 ? 1.0F : std::nanf("");
      problem.query[i] = problem.key[i];
    }
    problem.block = sample.block;
    problem.params.exploration = 0.001;
    problem.query_valid.assign(static_cast<std::size_t>(padded), 0);
    std::fill_n(problem.query_valid.begin(), 70, 1);
    problem.key_valid = problem.query_valid;
    SerialExecutor serial;
    std::vector<EdgeList> found(1);
    ASSERT_EQ(cpu::sample_edges(problem.point(), serial, found).message(), "");
    found[0].row_offsets.resize(71);
    found[0].probes.row_offsets.resize(71);
    graphs.push_back(found);
  }
  expect_equal(graphs[0][0], graphs[1][0]);
  expect_equal(graphs[0][0], graphs[2][0]);
}

}  // namespace
}  // namespace sbm::kernels
