// What an entry point of the sampler accepts, refuses, and makes of the smallest problems.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "kernels/cpu/sampler.h"
#include "kernels/reference/sampler.h"
#include "tests/kernels/sampler_problem.h"

namespace sbm::kernels {
namespace {

using testing::mixed_problem;
using testing::Problem;

/// The message of both samplers, which must agree.
std::string refusal(const SamplingParams& params, std::size_t graphs) {
  SerialExecutor serial;
  std::vector<EdgeList> lists(graphs);
  const std::string message = cpu::sample_edges(params, serial, lists).message();
  EXPECT_EQ(reference::sample_edges(params, lists).message(), message);
  return message;
}

EdgeList sample(Problem& problem) {
  SerialExecutor serial;
  std::vector<EdgeList> lists(1);
  EXPECT_EQ(cpu::sample_edges(problem.point(), serial, lists).message(), "");
  return lists[0];
}

TEST(SamplerCall, RefusesBadSizesAndPointers) {
  const auto with = [](auto change, std::size_t graphs = 6) {
    Problem problem = mixed_problem(1, 2, 3, 4, 5, 2, 1.0F);
    problem.point();
    change(problem.params);
    return refusal(problem.params, graphs);
  };
  EXPECT_EQ(with([](SamplingParams& p) { p.clusters = 257; }),
            "clusters: expected 1 to 256, found 257");
  EXPECT_EQ(with([](SamplingParams& p) { p.queries = -1; }),
            "queries: expected 0 to 2147483584, found -1");
  EXPECT_EQ(with([](SamplingParams&) {}, 5), "graphs: expected 6 to 6, found 5");
  EXPECT_EQ(with([](SamplingParams& p) { p.key_membership = nullptr; }),
            "key_membership: expected an array, found null");
  EXPECT_EQ(with([](SamplingParams& p) { p.mask_keys = nullptr; }),
            "mask_keys: expected an array, found null");
  EXPECT_THAT(with([](SamplingParams& p) { p.exploration = std::nan(""); }),
              ::testing::StartsWith("exploration: expected a number in [0, 1], found "));
  EXPECT_EQ(with([](SamplingParams& p) { p.probe_rate = 1.5; }),
            "probe_rate: expected a number in [0, 1], found 1.500000");
}

TEST(SamplerCall, RefusesBadValuesByTheirPlace) {
  Problem problem = mixed_problem(2, 2, 3, 4, 5, 2, 1.0F);
  problem.query[((1 * 3 + 2) * 4 + 3) * 2 + 1] = 1.25F;
  EXPECT_EQ(refusal(problem.point(), 6),
            "query_membership[1, 2, 3, 1]: expected a number in [0, 1], found 1.250000");
  problem = mixed_problem(2, 2, 3, 4, 5, 2, 1.0F);
  problem.key[((1 * 3 + 0) * 5 + 4) * 2] = -0.5F;
  EXPECT_EQ(refusal(problem.point(), 6),
            "key_membership[1, 0, 4, 0]: expected a number in [0, 1], found -0.500000");
  problem = mixed_problem(2, 2, 3, 4, 5, 2, 1.0F);
  problem.query[0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(refusal(problem.point(), 6), ::testing::HasSubstr("query_membership[0, 0, 0, 0]"));
  problem = mixed_problem(2, 2, 3, 4, 5, 2, 1.0F);
  problem.block[2 * 4 + 3] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(refusal(problem.point(), 6),
              ::testing::StartsWith("block_matrix[2, 1, 1]: expected a finite number >= 0"));
}

TEST(SamplerCall, MinusZeroIsZero) {
  Problem problem = mixed_problem(3, 1, 1, 5, 70, 3, 1.0F);
  for (std::size_t i = 0; i < problem.query.size(); i += 4) problem.query[i] = 0.0F;
  for (std::size_t i = 0; i < problem.key.size(); i += 4) problem.key[i] = 0.0F;
  const EdgeList positive = sample(problem);
  for (std::size_t i = 0; i < problem.query.size(); i += 4) problem.query[i] = -0.0F;
  for (std::size_t i = 0; i < problem.key.size(); i += 4) problem.key[i] = -0.0F;
  EXPECT_EQ(sample(problem).columns, positive.columns);
}

TEST(SamplerCall, NothingToDraw) {
  Problem no_keys(1, 1, 3, 0, 2);
  EXPECT_THAT(sample(no_keys).row_offsets, ::testing::ElementsAre(0, 0, 0, 0));
  Problem no_queries(1, 1, 0, 3, 2);
  EXPECT_THAT(sample(no_queries).row_offsets, ::testing::ElementsAre(0));
  Problem no_graphs(0, 2, 3, 3, 2);
  SerialExecutor serial;
  EXPECT_TRUE(cpu::sample_edges(no_graphs.point(), serial, {}).ok());
  no_graphs.params.block_matrix = nullptr;
  EXPECT_EQ(refusal(no_graphs.params, 0), "");

  Problem padded = mixed_problem(4, 1, 1, 3, 70, 2, 1.0F);
  padded.key_valid.assign(70, 0);
  const EdgeList graph = sample(padded);
  EXPECT_THAT(graph.row_offsets, ::testing::ElementsAre(0, 0, 0, 0));
  EXPECT_EQ(graph.valid_cells, 0);
  EXPECT_TRUE(graph.diagonal_forced);

  Problem empty = mixed_problem(5, 1, 1, 3, 70, 2, 0.0F);
  empty.params.self_loops = SelfLoops::kNone;
  EXPECT_THAT(sample(empty).row_offsets, ::testing::ElementsAre(0, 0, 0, 0));
}

TEST(SamplerCall, CertainEdges) {
  Problem problem(1, 1, 5, 131, 3);
  problem.query.assign(problem.query.size(), 1.0F);
  problem.key.assign(problem.key.size(), 1.0F);
  problem.block.assign(9, 1.0F / 9.0F);
  for (const double exploration : {0.0, 0.01, 1.0}) {
    problem.params.exploration = exploration;
    problem.params.self_loops = SelfLoops::kNone;
    const EdgeList graph = sample(problem);
    EXPECT_EQ(graph.drawn_edges, 5 * 131);
    EXPECT_EQ(graph.forced_edges, 0);
    if (exploration > 0.0) {
      EXPECT_THAT(graph.gates, ::testing::Each(0.0F));
    }
  }
}

TEST(SamplerCall, SelfLoops) {
  Problem problem = mixed_problem(6, 1, 1, 80, 66, 3, 1.0F);
  problem.query_valid.assign(80, 1);
  problem.key_valid.assign(66, 1);
  problem.query_valid[7] = 0;
  problem.key_valid[65] = 0;
  for (const SelfLoops self_loops : {SelfLoops::kAdd, SelfLoops::kRemove, SelfLoops::kNone}) {
    problem.params.self_loops = self_loops;
    const EdgeList graph = sample(problem);
    std::int64_t loops = 0;
    for (std::int64_t i = 0; i < 80; ++i) {
      const auto begin = graph.columns.begin() + graph.row_offsets[static_cast<std::size_t>(i)];
      const auto end = graph.columns.begin() + graph.row_offsets[static_cast<std::size_t>(i + 1)];
      EXPECT_TRUE(std::is_sorted(begin, end));
      EXPECT_TRUE(i != 7 || begin == end);
      EXPECT_EQ(std::count(begin, end, 65), 0);
      loops += std::count(begin, end, i);
    }
    EXPECT_EQ(graph.valid_cells, 79 * 65);
    EXPECT_EQ(graph.forced_edges, self_loops == SelfLoops::kAdd ? 64 : 0);
    EXPECT_EQ(graph.diagonal_forced, self_loops == SelfLoops::kAdd);
    EXPECT_EQ(graph.drawn_edges + graph.forced_edges, std::ssize(graph.columns));
    if (self_loops == SelfLoops::kAdd) {
      EXPECT_EQ(loops, 64);
    }
    if (self_loops == SelfLoops::kRemove) {
      EXPECT_EQ(loops, 0);
    }
    if (self_loops == SelfLoops::kNone) {
      EXPECT_GT(loops, 0);
    }
  }
}

TEST(SamplerCall, LongSparseRowsTakeTheLinearBranch) {
  // 2^16 x 2^18 cells: out of reach for anything that visits each of them.
  constexpr std::int64_t kQueries = 1 << 16;
  constexpr std::int64_t kKeys = 1 << 18;
  Problem problem(1, 1, kQueries, kKeys, 1);
  problem.query.assign(problem.query.size(), 0.5F);
  problem.key.assign(problem.key.size(), 0.5F);
  problem.block = {0x1p-16F};
  problem.params.self_loops = SelfLoops::kNone;
  const EdgeList graph = sample(problem);
  EXPECT_EQ(graph.valid_cells, kQueries * kKeys);
  // 2^16 edges expected; five standard deviations.
  EXPECT_NEAR(static_cast<double>(graph.drawn_edges), 65536.0, 5.0 * 256.0);
}

}  // namespace
}  // namespace sbm::kernels
