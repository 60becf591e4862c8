// What the CUDA sampler does at the edges: lists that do not fit, empty graphs, bad values.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "cuda_host/order.h"
#include "cuda_host/sampler_device.h"
#include "cuda_host/sampler_expect.h"

namespace sbm::cuda_host {
namespace {

using kernels::AttentionPath;
using kernels::SamplingParams;
using kernels::cuda::PathPlan;
using kernels::cuda::SampledGraphs;
using kernels::testing::mixed_problem;
using kernels::testing::Problem;

SamplerChoice sparse_choice(const Problem& problem) {
  SamplerChoice choice;
  choice.plan.path = AttentionPath::kSparse;
  choice.edge_capacity = 2 * problem.params.queries * problem.params.keys + 4096;
  return choice;
}

TEST(SamplerCudaCall, GraphsThatDoNotFitTheirListsGoDense) {
  // The plan leaves room for every list of edges that can come; lists of probes are as long as the
  // caller says. Graph 0 is listed row by row, graph 1 from its mask.
  Problem problem = mixed_problem(3, 1, 2, 90, 150, 12, 0.002F);
  for (std::size_t i = problem.block.size() / 2; i < problem.block.size(); ++i) {
    problem.block[i] *= 100.0F;
  }
  problem.params.exploration = 1e-4;
  problem.params.probe_rate = 0.1;
  SamplerChoice choice = sparse_choice(problem);
  choice.probe_mask = true;
  choice.probe_capacity = 500;
  for_each_order([&] {
    const DrawnGraphs drawn = draw_on_device(problem, choice);
    EXPECT_EQ(drawn.dense, (std::vector<std::uint32_t>{0, 1}));
    expect_reference(problem, choice, drawn);
  });
}

TEST(SamplerCudaCall, GraphsThatCannotFitTakeTheDensePath) {
  Problem problem = mixed_problem(4, 1, 1, 64, 64, 8, 1.0F);
  SamplerChoice choice;
  choice.plan.path = AttentionPath::kSparse;
  choice.edge_capacity = 64;
  const DrawnGraphs drawn = draw_on_device(problem, choice);
  EXPECT_EQ(drawn.dense, std::vector<std::uint32_t>{0});
  expect_reference(problem, choice, drawn);
}

TEST(SamplerCudaCall, ThePlanFollowsTheDensityOfEachGraph) {
  // Head 0 near 25 %, head 1 near .25 %.
  Problem problem = mixed_problem(6, 2, 2, 80, 130, 10, 1.0F);
  for (std::size_t i = problem.block.size() / 2; i < problem.block.size(); ++i) {
    problem.block[i] *= 0.01F;
  }
  SamplerChoice choice = sparse_choice(problem);
  choice.plan = {.path = AttentionPath::kAuto, .sparse_below = kernels::cuda::kSparseBelow};
  const DrawnGraphs drawn = draw_on_device(problem, choice);
  EXPECT_EQ(drawn.dense, (std::vector<std::uint32_t>{0, 2}));
  EXPECT_EQ(drawn.sparse, (std::vector<std::uint32_t>{1, 3}));
  expect_reference(problem, choice, drawn);
}

TEST(SamplerCudaCall, FullPaddingHasNoEdges) {
  for (const AttentionPath path : {AttentionPath::kDense, AttentionPath::kSparse}) {
    Problem problem = mixed_problem(7, 2, 1, 70, 40, 5, 0.5F);
    problem.params.exploration = 0.1;
    problem.params.probe_rate = 0.5;
    problem.key_valid.assign(80, 1);
    std::fill(problem.key_valid.begin() + 40, problem.key_valid.end(), 0);
    problem.query_valid.assign(140, 1);
    std::fill(problem.query_valid.begin(), problem.query_valid.begin() + 70, 0);
    SamplerChoice choice = sparse_choice(problem);
    choice.plan.path = path;
    choice.probe_mask = true;
    choice.probe_capacity = choice.edge_capacity;
    const DrawnGraphs drawn = draw_on_device(problem, choice);
    EXPECT_THAT(drawn.edge_counts, ::testing::Each(0));
    expect_reference(problem, choice, drawn);
  }
}

TEST(SamplerCudaCall, EmptySidesAndCalls) {
  for (const AttentionPath path : {AttentionPath::kDense, AttentionPath::kSparse}) {
    for (const auto& [queries, keys] : {std::pair{0, 5}, {5, 0}, {0, 0}}) {
      Problem problem = mixed_problem(8, 1, 2, queries, keys, 4, 0.5F);
      SamplerChoice choice = sparse_choice(problem);
      choice.plan.path = path;
      choice.probe_capacity = choice.edge_capacity;
      const DrawnGraphs drawn = draw_on_device(problem, choice);
      expect_reference(problem, choice, drawn);
    }
  }
  const kernels::Status status = kernels::cuda::sample_graphs(
      SamplingParams{.batch = 0, .heads = 4, .queries = 8, .keys = 8, .clusters = 2}, PathPlan{},
      SampledGraphs{}, nullptr, 0, test_stream());
  EXPECT_EQ(status.message(), "");
}

TEST(SamplerCudaCall, BadValuesAreReportedAndHarmless) {
  for (const float bad : {-0.5F, 1.5F, std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity()}) {
    Problem problem = mixed_problem(9, 1, 1, 40, 50, 6, 0.5F);
    const SamplerChoice choice = sparse_choice(problem);
    problem.key[17] = bad;
    EXPECT_EQ(draw_on_device(problem, choice).invalid_values, 1U);
    problem.key[17] = 0.5F;
    problem.query[3] = bad;
    EXPECT_EQ(draw_on_device(problem, choice).invalid_values, 1U);
    problem.query[3] = 0.5F;
    if (bad == 1.5F) continue;
    problem.block[5] = bad;
    EXPECT_EQ(draw_on_device(problem, choice).invalid_values, 2U);
  }
}

TEST(SamplerCudaCall, WhatPaddedTokensHoldIsNotRead) {
  Problem problem = mixed_problem(10, 1, 1, 40, 50, 6, 0.5F);
  problem.query_valid.assign(40, 1);
  problem.key_valid.assign(50, 1);
  problem.query_valid[2] = 0;
  problem.key_valid[49] = 0;
  problem.query[2 * 6 + 1] = std::numeric_limits<float>::quiet_NaN();
  problem.key[49 * 6 + 5] = -7.0F;
  const SamplerChoice choice = sparse_choice(problem);
  expect_reference(problem, choice, draw_on_device(problem, choice));
}

TEST(SamplerCudaCall, RefusesWhatContradictsItself) {
  Problem problem = mixed_problem(1, 1, 1, 8, 8, 2, 0.5F);
  const SamplingParams good = problem.point();
  const auto refusal = [&](SamplingParams params, const PathPlan& plan, const SampledGraphs& graphs,
                           std::size_t bytes) {
    return kernels::cuda::sample_graphs(params, plan, graphs, &problem, bytes, test_stream())
        .message();
  };
  constexpr std::size_t kPlenty = 1 << 30;
  SamplingParams wide = good;
  wide.keys = 65537;
  EXPECT_THAT(refusal(wide, {}, {}, kPlenty), ::testing::HasSubstr("at most 65536"));
  SamplingParams clusters = good;
  clusters.clusters = 257;
  EXPECT_THAT(refusal(clusters, {}, {}, kPlenty), ::testing::HasSubstr("clusters"));
  EXPECT_THAT(refusal(good, {.sparse_below = 1.5}, {}, kPlenty),
              ::testing::HasSubstr("sparse_below"));
  EXPECT_THAT(refusal(good, {}, {}, 8), ::testing::HasSubstr("workspace_bytes"));
  EXPECT_THAT(refusal(good, {}, {}, kPlenty), ::testing::HasSubstr("mask"));
}

TEST(SamplerCudaCall, RefusesArraysThatDoNotGoTogether) {
  Problem problem = mixed_problem(1, 1, 1, 8, 8, 2, 0.5F);
  problem.params.probe_rate = 0.5;
  problem.point();
  const SamplerInputs inputs(problem);
  SamplerChoice choice = sparse_choice(problem);
  choice.probe_capacity = choice.edge_capacity;
  const GraphBuffers buffers(inputs.params(), choice);
  const std::vector<std::uint64_t> workspace(1 << 16);
  const auto refusal = [&](const auto& change) {
    SamplingParams params = inputs.params();
    SampledGraphs graphs = buffers.graphs();
    change(params, graphs);
    return kernels::cuda::sample_graphs(params, choice.plan, graphs,
                                        const_cast<std::uint64_t*>(workspace.data()),
                                        workspace.size() * sizeof(workspace[0]), test_stream())
        .message();
  };
  const auto of_graphs = [&](const auto& change) {
    return refusal([&](SamplingParams& /*params*/, SampledGraphs& graphs) { change(graphs); });
  };
  EXPECT_THAT(of_graphs([](SampledGraphs& graphs) {
                graphs.mask = reinterpret_cast<std::uint64_t*>(
                    reinterpret_cast<unsigned char*>(graphs.mask) + 8);
              }),
              ::testing::HasSubstr("mask: expected an address that is a multiple of 16, found 8"));
  EXPECT_THAT(of_graphs([](SampledGraphs& graphs) { graphs.edge_counts = nullptr; }),
              ::testing::HasSubstr("edge_counts: expected an array, found null"));
  EXPECT_THAT(of_graphs([](SampledGraphs& graphs) { graphs.edges.capacity = -1; }),
              ::testing::HasSubstr("edges.capacity: expected 0 to 4294967295, found -1"));
  EXPECT_THAT(of_graphs([](SampledGraphs& graphs) { graphs.probes.rows = nullptr; }),
              ::testing::HasSubstr("probes: expected all four arrays, found null"));
  EXPECT_THAT(of_graphs([](SampledGraphs& graphs) { graphs.edges = {}; }),
              ::testing::HasSubstr("edges.capacity: expected room for edges"));
  EXPECT_THAT(refusal([](SamplingParams& params, SampledGraphs& /*graphs*/) {
                params.probe_rate = 0.0;
                params.probe_keys = nullptr;
              }),
              ::testing::HasSubstr("probe_keys: expected an array where probes are wanted"));
}

}  // namespace
}  // namespace sbm::cuda_host
