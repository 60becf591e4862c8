#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <vector>

#include "hwy/highway.h"
#include "tests/kernels/attention_problem.h"
#include "tests/kernels/thread_executor.h"

namespace sbm::kernels {
namespace {

using ::testing::HasSubstr;
using testing::ThreadExecutor;

constexpr double kTolerance = 1e-5;

/// Calls body once for each instruction set that this machine has and the kernels were made for.
template <typename Body>
void on_every_instruction_set(const Body& body) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    SCOPED_TRACE(hwy::TargetName(target));
    body();
  }
  hwy::SetSupportedTargetsForTest(0);
}

/// Along the edges and by dense tiles.
void expect_matches(ProblemSpec spec, double tolerance = kTolerance) {
  for (const AttentionPath path : {AttentionPath::kSparse, AttentionPath::kDense}) {
    spec.path = path;
    SCOPED_TRACE(spec.name());
    const Problem problem(spec);
    on_every_instruction_set([&] {
      SerialExecutor executor;
      Outputs outputs(spec);
      problem.run(executor, outputs);
      problem.expect_matches_reference(outputs, tolerance);
    });
  }
}

TEST(EdgeAttention, EveryHeadDim) {
  for (const std::int64_t d : {1, 2, 3, 4, 7, 8, 12, 16, 17, 24, 32, 33, 48, 64, 96, 128, 160}) {
    expect_matches({.heads = 2, .queries = 21, .keys = 37, .head_dim = d, .clusters = 8, .gap = 3});
    expect_matches({.queries = 13, .keys = 9, .head_dim = d, .clusters = 5, .density = 0.8});
  }
}

TEST(EdgeAttention, EveryClusterCount) {
  for (const std::int64_t k : {1, 2, 7, 8, 10, 16, 20, 30, 32, 48, 64, 96, 112, 128, 200, 256}) {
    expect_matches({.batch = 2, .queries = 19, .keys = 29, .head_dim = 8, .clusters = k});
  }
}

TEST(EdgeAttention, EveryDensity) {
  for (const double density : {0.0, 0.01, 0.25, 1.0}) {
    for (const bool diagonal : {false, true}) {
      expect_matches({.queries = 70,
                      .keys = 70,
                      .head_dim = 16,
                      .clusters = 16,
                      .density = density,
                      .diagonal_forced = diagonal,
                      .padded_rows = 7});
    }
  }
}

TEST(EdgeAttention, EstimatorsGatesAndDropout) {
  for (const Estimator estimator :
       {Estimator::kPaper, Estimator::kReference, Estimator::kTrapezoid}) {
    for (const bool gates : {false, true}) {
      for (const double dropout : {0.0, 0.1, 0.5}) {
        for (const double density : {0.05, 0.5}) {
          expect_matches({.batch = 2,
                          .heads = 2,
                          .queries = 33,
                          .keys = 45,
                          .head_dim = 24,
                          .clusters = 17,
                          .density = density,
                          .dropout = dropout,
                          .estimator = estimator,
                          .clip = 0.05F,
                          .gates = gates,
                          .gap = 5});
        }
      }
    }
  }
}

TEST(EdgeAttention, TrapezoidOnRowsOfEveryDegree) {
  for (const double density : {0.0, 0.03, 0.1, 1.0}) {
    for (const bool diagonal : {false, true}) {
      expect_matches({.queries = 61,
                      .keys = 40,
                      .head_dim = 16,
                      .clusters = 16,
                      .density = density,
                      .estimator = Estimator::kTrapezoid,
                      .diagonal_forced = diagonal,
                      .probe_rate = 0.5,
                      .padded_rows = 3});
    }
  }
  // Every cell, and none.
  for (const double rate : {1.0, 0.0}) {
    expect_matches({.heads = 2,
                    .queries = 90,
                    .keys = 33,
                    .head_dim = 7,
                    .clusters = 5,
                    .estimator = Estimator::kTrapezoid,
                    .probe_rate = rate});
  }
}

TEST(EdgeAttention, ReferenceWithoutClip) {
  expect_matches({.queries = 33,
                  .keys = 45,
                  .head_dim = 8,
                  .clusters = 8,
                  .estimator = Estimator::kReference,
                  .clip = std::numeric_limits<float>::infinity()});
}

TEST(EdgeAttention, SmallestSizes) {
  for (const double density : {0.0, 1.0}) {
    expect_matches({.density = density, .diagonal_forced = false});
    expect_matches({.queries = 5, .density = density, .diagonal_forced = false});
    expect_matches({.keys = 5, .density = density, .diagonal_forced = false});
  }
  expect_matches({.queries = 0, .keys = 3, .head_dim = 4, .clusters = 4});
  expect_matches({.queries = 3, .keys = 0, .head_dim = 4, .clusters = 4});
  expect_matches({.batch = 0, .queries = 3, .keys = 3});
}

// Scores near -30,000: exp of them is 0, of their differences it is not. One unit of a score is
// 2^-9 there, which bounds what any fp32 kernel can do.
TEST(EdgeAttention, VeryNegativeScoresStayFinite) {
  const ProblemSpec spec = {
      .queries = 20, .keys = 40, .head_dim = 8, .clusters = 4, .score_shift = -3e4};
  const Problem problem(spec);
  on_every_instruction_set([&] {
    SerialExecutor executor;
    Outputs outputs(spec);
    problem.run(executor, outputs);
    problem.expect_matches_reference(outputs, 2e-2);
  });
}

// Spread scores: most weights of a row underflow.
TEST(EdgeAttention, HugeSpreadsOfScores) {
  const ProblemSpec spec = {.queries = 20, .keys = 40, .head_dim = 8, .clusters = 4};
  Problem problem(spec);
  problem.shape.scale = 1e30F;
  on_every_instruction_set([&] {
    SerialExecutor executor;
    Outputs outputs(spec);
    ASSERT_TRUE(attention_forward(problem.forward(outputs), executor).ok());
    for (const float value : outputs.output.values) EXPECT_TRUE(std::isfinite(value));
  });
}

TEST(EdgeAttention, NotANumberShowsItself) {
  for (const AttentionPath path : {AttentionPath::kSparse, AttentionPath::kDense}) {
    ProblemSpec spec = {
        .queries = 8, .keys = 20, .head_dim = 8, .clusters = 4, .density = 1.0, .path = path};
    const Problem problem(spec);
    on_every_instruction_set([&] {
      SerialExecutor executor;
      Outputs outputs(spec);
      cpu::ForwardParams params = problem.forward(outputs);
      TestTensor broken(1, 1, 20, 8, 0);
      std::fill(broken.values.begin(), broken.values.end(), 1.0F);
      broken.values.data()[9 * 8 + 3] = std::numeric_limits<float>::quiet_NaN();
      params.key = broken.const_view();
      ASSERT_TRUE(attention_forward(params, executor).ok());
      EXPECT_TRUE(std::isnan(outputs.output.values.data()[0]));
    });
  }
}

TEST(EdgeAttention, SameBitsOnAnyNumberOfThreads) {
  const std::vector<ProblemSpec> specs = {
      // Several tiles along both sides.
      {.heads = 2,
       .queries = 600,
       .keys = 500,
       .head_dim = 12,
       .clusters = 20,
       .density = 0.3,
       .dropout = 0.1},
      {.queries = 300,
       .keys = 700,
       .head_dim = 8,
       .clusters = 12,
       .density = 0.3,
       .estimator = Estimator::kTrapezoid,
       .probe_rate = 0.4},
      {.queries = 300,
       .keys = 200,
       .head_dim = 8,
       .clusters = 12,
       .density = 0.7,
       .path = AttentionPath::kDense,
       .dropout = 0.1},
      {.queries = 100,
       .keys = 130,
       .head_dim = 8,
       .clusters = 12,
       .density = 0.7,
       .path = AttentionPath::kDense,
       .estimator = Estimator::kTrapezoid,
       .probe_rate = 0.4},
      {.batch = 3, .heads = 5, .queries = 150, .keys = 130, .head_dim = 16, .clusters = 16}};
  for (const ProblemSpec& spec : specs) {
    const Problem problem(spec);
    on_every_instruction_set([&] {
      ThreadExecutor serial(1);
      Outputs expected(spec);
      problem.run(serial, expected);
      const std::vector<float> expected_values = expected.all();
      for (const int threads : {1, 2, 3}) {
        ThreadExecutor executor(threads);
        Outputs outputs(spec);
        problem.run(executor, outputs);
        const std::vector<float> values = outputs.all();
        ASSERT_EQ(values.size(), expected_values.size());
        EXPECT_EQ(std::memcmp(values.data(), expected_values.data(), values.size() * sizeof(float)),
                  0)
            << threads << " threads";
      }
    });
  }
}

// The bits of the two paths differ, so they tell which one a head took.
TEST(EdgeAttention, PathFollowsTheDensity) {
  const auto output = [](double density, AttentionPath path, double dense_from = 0.0) {
    const ProblemSpec spec = {.queries = 90,
                              .keys = 120,
                              .head_dim = 16,
                              .clusters = 4,
                              .density = density,
                              .path = path};
    Problem problem(spec);
    problem.shape.dense_from = dense_from;
    SerialExecutor executor;
    Outputs outputs(spec);
    problem.run(executor, outputs);
    return std::vector<float>(outputs.output.values.begin(), outputs.output.values.end());
  };
  // A fifth of the rows is empty.
  for (const double density : {0.3, 1.0}) {
    const std::vector<float> sparse = output(density, AttentionPath::kSparse);
    const std::vector<float> dense = output(density, AttentionPath::kDense);
    ASSERT_NE(sparse, dense);
    EXPECT_EQ(output(density, AttentionPath::kAuto), density < 0.5 ? sparse : dense);
    EXPECT_EQ(output(density, AttentionPath::kAuto, 0.1), dense);
    EXPECT_EQ(output(density, AttentionPath::kAuto, 0.9), sparse);
    EXPECT_EQ(output(density, AttentionPath::kSparse, 0.1), sparse);
  }
}

TEST(EdgeAttention, SeveralTilesMatchTheReference) {
  expect_matches({.queries = 400,
                  .keys = 300,
                  .head_dim = 5,
                  .clusters = 3,
                  .density = 0.9,
                  .padded_rows = 10});
}

class EdgeAttentionErrors : public ::testing::Test {
 protected:
  void expect_refusal(const cpu::ForwardParams& params, const std::string& part) {
    const Status status = attention_forward(params, executor_);
    ASSERT_FALSE(status.ok());
    EXPECT_THAT(status.message(), HasSubstr(part));
  }
  void expect_refusal(const cpu::BackwardParams& params, const std::string& part) {
    const Status status = attention_backward(params, executor_);
    ASSERT_FALSE(status.ok());
    EXPECT_THAT(status.message(), HasSubstr(part));
  }

  const ProblemSpec spec_ = {.queries = 6, .keys = 7, .head_dim = 4, .clusters = 3};
  Problem problem_{spec_};
  Outputs outputs_{spec_};
  SerialExecutor executor_;
};

TEST_F(EdgeAttentionErrors, SizesAndPointers) {
  cpu::ForwardParams forward = problem_.forward(outputs_);
  forward.shape.head_dim = 0;
  expect_refusal(forward, "head_dim: expected 1 to");
  forward = problem_.forward(outputs_);
  forward.shape.queries = -1;
  expect_refusal(forward, "queries");
  forward = problem_.forward(outputs_);
  forward.value.data = nullptr;
  expect_refusal(forward, "value: expected a pointer, found null");
  forward = problem_.forward(outputs_);
  forward.shape.dropout = 1.0;
  expect_refusal(forward, "dropout");
  forward.shape.dropout = 0.1;
  forward.shape.dropout_keys = nullptr;
  expect_refusal(forward, "dropout_keys");
  forward = problem_.forward(outputs_);
  forward.shape.path = static_cast<AttentionPath>(3);
  expect_refusal(forward, "path: expected 0 to 2, found 3");
  forward = problem_.forward(outputs_);
  forward.shape.scale = std::numeric_limits<float>::quiet_NaN();
  expect_refusal(forward, "scale");
  forward = problem_.forward(outputs_);
  forward.shape.dense_from = 1.5;
  expect_refusal(forward, "dense_from: expected 0 to 1");

  cpu::BackwardParams backward = problem_.backward(outputs_);
  backward.shape.clusters = 257;
  expect_refusal(backward, "clusters: expected 1 to 256, found 257");
  backward = problem_.backward(outputs_);
  backward.key_product = nullptr;
  expect_refusal(backward, "key_product");
  backward = problem_.backward(outputs_);
  backward.estimator.estimator = Estimator::kTrapezoid;
  expect_refusal(backward, "graphs[0].probabilities: expected");
  backward = problem_.backward(outputs_);
  backward.estimator.estimator = static_cast<Estimator>(3);
  expect_refusal(backward, "estimator: expected 0 to 2, found 3");
  backward = problem_.backward(outputs_);
  backward.estimator.clip = -1.0F;
  expect_refusal(backward, "clip");
}

TEST_F(EdgeAttentionErrors, Graphs) {
  const std::vector<EdgeList> intact = problem_.graphs;
  problem_.graphs[0].gates.assign(1, 1.0F);
  expect_refusal(problem_.forward(outputs_), "graphs[0].gates");
  problem_.graphs = intact;
  problem_.graphs[0].columns.back() = 7;
  expect_refusal(problem_.forward(outputs_), "graphs[0].columns");
  // Neither the first nor the last edge of the row is out of place.
  problem_.graphs[0].row_offsets = {0, 4, 4, 4, 4, 4, 4};
  problem_.graphs[0].gates.clear();
  problem_.graphs[0].columns = {0, 2, 1, 4};
  expect_refusal(problem_.forward(outputs_),
                 "graphs[0].columns: expected ascending keys below 7 in row 0, found 1 after 2");
  problem_.graphs[0].columns = {0, 2, 2, 4};
  expect_refusal(problem_.forward(outputs_), "found 2 after 2");
  problem_.graphs[0].columns = {0, 9, 3, 4};
  expect_refusal(problem_.forward(outputs_), "found 9 after 0");
  problem_.graphs = intact;
  problem_.graphs[0].row_offsets[1] = -1;
  expect_refusal(problem_.backward(outputs_), "graphs[0].row_offsets");
  problem_.graphs = intact;
  problem_.graphs[0].row_offsets.pop_back();
  expect_refusal(problem_.forward(outputs_), "expected 7 elements, found 6");
  problem_.graphs = intact;
  problem_.graphs.emplace_back();
  expect_refusal(problem_.forward(outputs_), "graphs: expected 1");
}

TEST(EdgeAttentionProbes, AreChecked) {
  const ProblemSpec spec = {.queries = 6,
                            .keys = 7,
                            .head_dim = 4,
                            .clusters = 3,
                            .estimator = Estimator::kTrapezoid,
                            .probe_rate = 1.0};
  Problem problem(spec);
  Outputs outputs(spec);
  SerialExecutor executor;
  const auto refusal = [&] {
    return attention_backward(problem.backward(outputs), executor).message();
  };
  EXPECT_EQ(refusal(), "");
  const std::vector<EdgeList> intact = problem.graphs;
  problem.graphs[0].probes.columns.back() = 7;
  EXPECT_THAT(refusal(), HasSubstr("graphs[0].probes.columns: expected ascending keys below 7"));
  problem.graphs = intact;
  problem.graphs[0].probes.probabilities.pop_back();
  EXPECT_THAT(refusal(), HasSubstr("graphs[0].probes.probabilities"));
  problem.graphs = intact;
  problem.estimator.probe_rate = 0.0;
  EXPECT_THAT(refusal(), HasSubstr("probe_rate: expected more than 0 where there are probes"));
  problem.estimator.probe_rate = 1.5;
  EXPECT_THAT(refusal(), HasSubstr("probe_rate: expected 0 to 1"));
}

}  // namespace
}  // namespace sbm::kernels
