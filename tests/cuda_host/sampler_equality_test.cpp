// The CUDA sampler against the reference on random problems: every step, bit for bit.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "cuda_host/order.h"
#include "cuda_host/sampler_device.h"
#include "cuda_host/sampler_expect.h"
#include "kernels/cpu/sampler.h"
#include "kernels/reference/sampler.h"

namespace sbm::cuda_host {
namespace {

using kernels::AttentionPath;
using kernels::MaskLaw;
using kernels::SelfLoops;
using kernels::testing::mixed_problem;
using kernels::testing::Problem;
using kernels::testing::Uniform;

/// Room for every cell and the deviations that the plan wants free beside them.
std::int64_t room_for_all(const Problem& problem) {
  return 2 * problem.params.queries * problem.params.keys + 4096;
}

void pad(std::vector<std::uint8_t>& valid, std::int64_t count, Uniform& uniform) {
  valid.resize(static_cast<std::size_t>(count));
  for (std::uint8_t& token : valid) token = uniform() < 0.8F ? 1 : 0;
}

/// Random shapes, laws, padding and choices; `trial` chooses what must be covered.
Problem random_problem(int trial, Uniform& uniform) {
  constexpr std::int64_t kClusters[] = {1, 7, 32, 33, 64, 100, 128, 255, 256};
  const std::int64_t clusters = trial % 3 == 0 ? kClusters[trial / 3 % 9] : 1 + uniform.below(40);
  const std::int64_t queries = 1 + uniform.below(140);
  const std::int64_t keys = 1 + uniform.below(210);
  const float mass = std::ldexp(2.0F, -static_cast<int>(uniform.below(14)));
  Problem problem =
      mixed_problem(static_cast<std::uint64_t>(trial), 1 + trial % 2, 1 + trial % 4 / 3, queries,
                    keys, clusters, mass, 1.0F + 9.0F * uniform());
  problem.params.law = trial % 2 == 0 ? MaskLaw::kBernoulli : MaskLaw::kPoisson;
  problem.params.self_loops = static_cast<SelfLoops>(trial % 3);
  constexpr double kExplorations[] = {0.0, 0.01, 0.0, 1.0, 0.3, 0.0, 1e-4};
  problem.params.exploration = kExplorations[trial % 7];
  constexpr double kProbeRates[] = {0.0, 0.1, 1.0, 0.7};
  problem.params.probe_rate = kProbeRates[trial / 2 % 4];
  if (trial % 4 == 1) {
    // Keys whose magnitudes differ by 10^4.
    for (std::size_t j = 0; j < problem.key.size(); j += static_cast<std::size_t>(clusters)) {
      const float scale = std::ldexp(1.0F, -static_cast<int>(uniform.below(14)));
      for (std::size_t c = 0; c < static_cast<std::size_t>(clusters); ++c) {
        problem.key[j + c] *= scale;
      }
    }
  }
  if (trial % 5 == 2) {
    pad(problem.query_valid, problem.params.batch * queries, uniform);
    pad(problem.key_valid, problem.params.batch * keys, uniform);
  }
  return problem;
}

/// How many rows of all graphs take the linear branch, and how many the first.
void count_branches(Problem& problem, std::int64_t& linear, std::int64_t& cells) {
  const kernels::SamplingParams& params = problem.point();
  for (std::int64_t graph = 0; graph < problem.graphs(); ++graph) {
    const kernels::reference::SampledGraph expected(params, graph / params.heads,
                                                    graph % params.heads);
    for (std::int64_t i = 0; i < params.queries; ++i) (expected.is_linear(i) ? linear : cells) += 1;
  }
}

/// A part of the problems where every access is checked; the plain build has all of them.
void check_random(AttentionPath path, int wanted) {
  const int trials = orders().size() == 2 ? wanted / 3 : wanted;
  Uniform uniform(11);
  std::int64_t linear = 0;
  std::int64_t cells = 0;
  for (int trial = 0; trial < trials; ++trial) {
    SCOPED_TRACE("trial " + std::to_string(trial));
    set_order(orders()[static_cast<std::size_t>(trial) % orders().size()]);
    Problem problem = random_problem(trial, uniform);
    count_branches(problem, linear, cells);
    SamplerChoice choice;
    choice.plan.path = path;
    choice.plan.sparse_below = 0.05;
    if (path != AttentionPath::kDense) {
      choice.edge_capacity = room_for_all(problem);
      choice.probe_capacity = room_for_all(problem);
    }
    choice.probe_mask = path != AttentionPath::kSparse;
    const DrawnGraphs drawn = draw_on_device(problem, choice);
    if (::testing::Test::HasFailure()) return;
    expect_reference(problem, choice, drawn);
    EXPECT_TRUE(path != AttentionPath::kSparse || drawn.dense.empty());
    EXPECT_TRUE(path != AttentionPath::kDense || drawn.sparse.empty());
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(linear, 50);
  EXPECT_GT(cells, 50);
}

TEST(SamplerCudaEquality, MasksOfRandomProblems) { check_random(AttentionPath::kDense, 27); }

TEST(SamplerCudaEquality, ListsOfRandomProblems) { check_random(AttentionPath::kSparse, 27); }

TEST(SamplerCudaEquality, PlannedRandomProblems) { check_random(AttentionPath::kAuto, 18); }

TEST(SamplerCudaEquality, EveryOrderGivesTheSame) {
  // Rows of both branches in one graph, so that lists are made row by row from bits and arrivals.
  Problem problem = mixed_problem(5, 1, 2, 70, 200, 20, 1.0F);
  for (std::size_t i = 0; i < problem.query.size(); ++i) {
    // Rows 3 of both graphs have P near one quarter, the others far less.
    if (i / 20 % 70 != 3) problem.query[i] *= 0.004F;
  }
  problem.params.exploration = 1e-3;
  problem.params.probe_rate = 0.05;
  std::int64_t linear = 0;
  std::int64_t cells = 0;
  count_branches(problem, linear, cells);
  EXPECT_EQ(cells, 2);
  SamplerChoice choice;
  choice.plan.path = AttentionPath::kSparse;
  choice.edge_capacity = room_for_all(problem);
  choice.probe_capacity = room_for_all(problem);
  for_each_order([&] { expect_reference(problem, choice, draw_on_device(problem, choice)); });
}

// Proposal weights are rounded up, and arrivals thinned by what that added, at keys whose exponent
// is more than 16 above the least: 31, that of all small ones, beside 14, that of a membership
// of 1.
TEST(SamplerCudaEquality, ArrivalsAtKeysOfFarSmallerMemberships) {
  Problem problem = mixed_problem(6, 1, 2, 40, 300, 20, 0.002F);
  for (std::size_t i = 0; i < problem.key.size(); ++i) {
    if (i / 20 % 2 == 1) problem.key[i] *= 0x1p-20F;
    if (i % 6000 == 0) problem.key[i] = 1.0F;
  }
  problem.params.exploration = 0.002;
  std::int64_t linear = 0;
  std::int64_t cells = 0;
  count_branches(problem, linear, cells);
  EXPECT_EQ(linear, 80);
  SamplerChoice choice;
  choice.plan.path = AttentionPath::kSparse;
  choice.edge_capacity = room_for_all(problem);
  const DrawnGraphs drawn = draw_on_device(problem, choice);
  expect_reference(problem, choice, drawn);
}

TEST(SamplerCudaEquality, LargerGraphsLikeTheCpu) {
  Problem problem = mixed_problem(9, 1, 1, 400, 1500, 32, 0.02F);
  problem.params.exploration = 0.002;
  const kernels::SamplingParams& params = problem.point();
  std::vector<kernels::EdgeList> expected(1);
  kernels::SerialExecutor serial;
  ASSERT_EQ(kernels::cpu::sample_edges(params, serial, expected).message(), "");
  SamplerChoice choice;
  choice.plan.path = AttentionPath::kSparse;
  choice.edge_capacity = kernels::cuda::list_capacity(params.queries, params.keys, 0.05);
  set_order(orders().back());
  const DrawnGraphs drawn = draw_on_device(problem, choice);
  ASSERT_EQ(drawn.sparse, std::vector<std::uint32_t>{0});
  EXPECT_EQ(
      std::vector<std::int64_t>(drawn.edges.row_offsets.begin(), drawn.edges.row_offsets.end()),
      expected[0].row_offsets);
  const std::vector<std::int32_t> columns(
      drawn.edges.columns.begin(),
      drawn.edges.columns.begin() + static_cast<std::int64_t>(expected[0].columns.size()));
  EXPECT_EQ(columns, expected[0].columns);
}

}  // namespace
}  // namespace sbm::cuda_host
