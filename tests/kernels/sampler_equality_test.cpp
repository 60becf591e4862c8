// The CPU sampler against the reference, bit for bit, on every instruction set of this machine.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

#include "hwy/targets.h"
#include "kernels/cpu/sampler.h"
#include "kernels/reference/sampler.h"
#include "tests/kernels/sampler_problem.h"

namespace sbm::kernels {
namespace {

using testing::mixed_problem;
using testing::Problem;
using testing::Uniform;

/// Two threads, so that pieces really run beside one another.
class TwoThreads final : public Executor {
 public:
  explicit TwoThreads(int concurrency) : concurrency_(concurrency) {}
  void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body) override {
    std::thread odd([&] {
      for (std::int64_t i = count - 1; i >= 0; --i) {
        if (i % 2 != 0) body(i);
      }
    });
    for (std::int64_t i = 0; i < count; i += 2) body(i);
    odd.join();
  }
  [[nodiscard]] int concurrency() const override { return concurrency_; }

 private:
  int concurrency_;
};

void expect_equal(const EdgeList& expected, const EdgeList& found) {
  EXPECT_EQ(expected.row_offsets, found.row_offsets);
  EXPECT_EQ(expected.columns, found.columns);
  EXPECT_EQ(expected.gates, found.gates);
  EXPECT_EQ(expected.diagonal_forced, found.diagonal_forced);
  EXPECT_EQ(expected.drawn_edges, found.drawn_edges);
  EXPECT_EQ(expected.forced_edges, found.forced_edges);
  EXPECT_EQ(expected.valid_cells, found.valid_cells);
}

std::vector<std::int64_t> targets() {
  hwy::SetSupportedTargetsForTest(0);
  std::vector<std::int64_t> result;
  for (const std::int64_t target : {HWY_AVX3_DL, HWY_AVX3, HWY_AVX2, HWY_SSE4, HWY_SSSE3}) {
    if ((hwy::SupportedTargets() & target) != 0) result.push_back(target);
  }
  result.push_back(HWY_SCALAR);
  return result;
}

/// The narrowest this machine may use is `target`.
class ForcedTarget {
 public:
  explicit ForcedTarget(std::int64_t target) { hwy::SetSupportedTargetsForTest(target); }
  ~ForcedTarget() { hwy::SetSupportedTargetsForTest(0); }
  ForcedTarget(const ForcedTarget&) = delete;
  ForcedTarget& operator=(const ForcedTarget&) = delete;
};

void check_all_targets(Problem& problem) {
  const SamplingParams& params = problem.point();
  const auto graphs = static_cast<std::size_t>(problem.graphs());
  std::vector<EdgeList> expected(graphs);
  ASSERT_EQ(reference::sample_edges(params, expected).message(), "");
  for (const std::int64_t target : targets()) {
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
    const std::int64_t clusters =
        trial % 6 == 0 ? 1 + uniform.below(256) : 1 + uniform.below(40);
    const std::int64_t queries = 1 + uniform.below(90);
    const std::int64_t keys = 1 + uniform.below(300);
    const float mass = std::ldexp(2.0F, -static_cast<int>(uniform.below(14)));
    Problem problem = mixed_problem(static_cast<std::uint64_t>(trial), 1 + trial % 2, 1 + trial % 3,
                                    queries, keys, clusters, mass, 1.0F + 9.0F * uniform());
    problem.params.law = trial % 2 == 0 ? MaskLaw::kBernoulli : MaskLaw::kPoisson;
    problem.params.self_loops = static_cast<SelfLoops>(trial % 3);
    constexpr double kExplorations[] = {0.0, 0.01, 0.0, 1.0, 0.3, 0.0, 1e-4};
    problem.params.exploration = kExplorations[trial % 7];
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

}  // namespace
}  // namespace sbm::kernels
