// The law of every form of both branches on every instruction set, at densities and magnitudes
// where fixed point has the least room; and that both paths of attention go along the edges drawn.
// Seeds are fixed; were they not, an expectation would fail by chance less than once in 10^6 runs,
// and as all forms and instruction sets draw the same bits, they would fail together.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/sampler.h"
#include "tests/kernels/guarded_array.h"
#include "tests/kernels/sampler_counts.h"
#include "tests/kernels/sampler_problem.h"
#include "tests/kernels/sampler_targets.h"

namespace sbm::kernels {
namespace {

using cpu::CellForm;
using testing::Counts;
using testing::ForcedTarget;
using testing::GuardedArray;
using testing::mixed_problem;
using testing::Problem;
using testing::supported_targets;
using testing::Uniform;

/// Memberships of the keys spread over a factor of 1,000, from token to token.
void spread_keys(Problem& problem, std::uint64_t seed) {
  Uniform uniform(seed);
  const auto clusters = static_cast<std::size_t>(problem.params.clusters);
  for (std::size_t j = 0; j < problem.key.size(); j += clusters) {
    const float scale = std::pow(10.0F, -3.0F * uniform());
    for (std::size_t c = 0; c < clusters; ++c) problem.key[j + c] *= scale;
  }
}

/// Makes P `density` in the mean of graph 0 and draws the diagonal too.
void set_density(Problem& problem, double density) {
  problem.params.self_loops = SelfLoops::kNone;
  double sum = 0.0;
  for (std::int64_t i = 0; i < problem.params.queries; ++i) {
    for (std::int64_t j = 0; j < problem.params.keys; ++j) sum += problem.probability(0, i, j);
  }
  const auto cells = static_cast<double>(problem.params.queries * problem.params.keys);
  for (float& entry : problem.block) entry *= static_cast<float>(density * cells / sum);
}

/// Keys over a factor of 1,000; near-uniform S and memberships near one half, as training starts.
std::vector<Problem> hard_problems(std::int64_t queries, std::int64_t keys) {
  std::vector<Problem> problems;
  problems.push_back(mixed_problem(91, 1, 1, queries, keys, 12, 1.0F));
  spread_keys(problems.back(), 92);
  problems.push_back(mixed_problem(93, 1, 1, queries, keys, 128, 1.0F, 0.02F, 0.01F));
  return problems;
}

void expect_law(Problem& problem, int draws, bool linear) {
  for (const std::int64_t target : supported_targets()) {
    const ForcedTarget forced(target);
    for (const CellForm form : {CellForm::kEveryCell, CellForm::kCoarse, CellForm::kScreened}) {
      SCOPED_TRACE(std::string(hwy::TargetName(target)) + ", form " +
                   std::to_string(static_cast<int>(form)));
      Counts(problem, draws, form).expect_law(linear);
      if (linear) break;  // which has no forms
    }
  }
}

TEST(SamplerLawOfForms, EveryCell) {
  for (const double density : {0.2, 0.4, 0.95}) {
    for (Problem& problem : hard_problems(5, 130)) {
      SCOPED_TRACE(density);
      set_density(problem, density);
      expect_law(problem, 250, false);
    }
  }
}

TEST(SamplerLawOfForms, LinearBranch) {
  for (Problem& problem : hard_problems(8, 600)) {
    set_density(problem, 0.0015);
    expect_law(problem, 600, true);
  }
}

/// With scores of 0 and the unit vectors for values, row i of the output holds 1 / degree where
/// there is an edge.
TEST(SamplerLawOfForms, BothPathsOfAttentionGoAlongTheDrawnEdges) {
  constexpr std::int64_t kQueries = 70;
  constexpr std::int64_t kKeys = 110;
  for (const double density : {0.0015, 0.2, 0.4, 0.95}) {
    for (Problem& problem : hard_problems(kQueries, kKeys)) {
      set_density(problem, density);
      SerialExecutor serial;
      std::vector<EdgeList> graphs(1);
      ASSERT_TRUE(cpu::sample_edges(problem.point(), serial, graphs).ok());
      std::vector<float> expected(kQueries * kKeys, 0.0F);
      for (std::int64_t i = 0; i < kQueries; ++i) {
        const std::int64_t begin = graphs[0].row_offsets[static_cast<std::size_t>(i)];
        const std::int64_t end = graphs[0].row_offsets[static_cast<std::size_t>(i + 1)];
        for (std::int64_t e = begin; e < end; ++e) {
          const std::int64_t key = graphs[0].columns[static_cast<std::size_t>(e)];
          expected[static_cast<std::size_t>(i * kKeys + key)] =
              1.0F / static_cast<float>(end - begin);
        }
      }
      const GuardedArray<float> query(kQueries * kKeys, 0.0F);
      const GuardedArray<float> key(kKeys * kKeys, 1.0F);
      const GuardedArray<float> value(kKeys * kKeys, 0.0F);
      for (std::int64_t j = 0; j < kKeys; ++j) value.data()[j * kKeys + j] = 1.0F;
      for (const AttentionPath path : {AttentionPath::kSparse, AttentionPath::kDense}) {
        for (const std::int64_t target : supported_targets()) {
          const ForcedTarget forced(target);
          SCOPED_TRACE(std::string(hwy::TargetName(target)) + ", path " +
                       std::to_string(static_cast<int>(path)));
          const GuardedArray<float> output(kQueries * kKeys, std::nanf(""));
          const GuardedArray<float> log_sum_exp(kQueries, std::nanf(""));
          const auto head = [](float* data) {
            return HeadTensor<float>{.data = data, .token_stride = kKeys};
          };
          const auto input = [](const float* data) {
            return HeadTensor<const float>{.data = data, .token_stride = kKeys};
          };
          ASSERT_EQ(cpu::attention_forward({.shape = {.batch = 1,
                                                      .heads = 1,
                                                      .queries = kQueries,
                                                      .keys = kKeys,
                                                      .head_dim = kKeys,
                                                      .clusters = problem.params.clusters,
                                                      .scale = 1.0F,
                                                      .path = path},
                                            .query = input(query.data()),
                                            .key = input(key.data()),
                                            .value = input(value.data()),
                                            .graphs = graphs,
                                            .output = head(output.data()),
                                            .log_sum_exp = log_sum_exp.data()},
                                           serial)
                        .message(),
                    "");
          for (std::size_t cell = 0; cell < expected.size(); ++cell) {
            ASSERT_NEAR(output.data()[cell], expected[cell], 1e-6F) << "cell " << cell;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace sbm::kernels
