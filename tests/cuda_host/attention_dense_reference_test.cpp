#include <gtest/gtest.h>

#include "tests/cuda_host/attention_dense_problem.h"

// The dense-masked path against the reference in double precision, in both precisions.
namespace sbm::kernels::cuda {
namespace {

constexpr double kFloat32Tolerance = 1e-5;
// Weights, dL/ds and G are rounded to 8 bits, each with an error up to 2^-9, before they are
// multiplied, and outputs once more.
constexpr double kBfloat16Tolerance = 1.5 * 0x1p-8;

template <class Element>
void expect_reference(const DenseSpec& spec) {
  const DenseProblem<Element> problem(spec);
  const DenseOutputs<Element> outputs(spec);
  problem.run(outputs);
  problem.expect_matches_reference(outputs,
                                   sizeof(Element) == 2 ? kBfloat16Tolerance : kFloat32Tolerance);
}

class AttentionDense : public ::testing::TestWithParam<DenseSpec> {};

TEST_P(AttentionDense, Float32IsTheReference) {
  SCOPED_TRACE(GetParam().name());
  expect_reference<float>(GetParam());
}

TEST_P(AttentionDense, Bfloat16IsTheReference) {
  SCOPED_TRACE(GetParam().name());
  expect_reference<__nv_bfloat16>(GetParam());
}

constexpr Estimator kPaper = Estimator::kPaper;
constexpr Estimator kReference = Estimator::kReference;
constexpr Estimator kTrapezoid = Estimator::kTrapezoid;

INSTANTIATE_TEST_SUITE_P(
    Sizes, AttentionDense,
    ::testing::Values(
        DenseSpec{.queries = 1, .keys = 1, .clusters = 1},
        DenseSpec{.queries = 64, .keys = 64, .clusters = 16},
        DenseSpec{.queries = 3, .keys = 200, .head_dim = 64, .clusters = 5, .gap = 8},
        DenseSpec{.queries = 200, .keys = 3, .head_dim = 128, .clusters = 5},
        DenseSpec{.queries = 65, .keys = 63, .head_dim = 64, .self_loops = SelfLoops::kNone},
        DenseSpec{.queries = 0, .keys = 70}, DenseSpec{.queries = 70, .keys = 0},
        DenseSpec{.batch = 2, .heads = 3, .queries = 150, .keys = 201, .padded = true, .gap = 8},
        DenseSpec{.queries = 260, .keys = 193, .head_dim = 64, .clusters = 32},
        DenseSpec{.queries = 130, .keys = 257, .head_dim = 128, .clusters = 31}));

INSTANTIATE_TEST_SUITE_P(
    Clusters, AttentionDense,
    ::testing::Values(
        DenseSpec{.queries = 140, .keys = 90, .clusters = 256},
        DenseSpec{.queries = 90, .keys = 140, .head_dim = 64, .clusters = 129},
        DenseSpec{.queries = 90, .keys = 140, .head_dim = 128, .clusters = 97},
        DenseSpec{.queries = 90, .keys = 80, .clusters = 33, .estimator = kReference},
        DenseSpec{
            .queries = 90, .keys = 80, .head_dim = 64, .clusters = 40, .estimator = kTrapezoid},
        DenseSpec{
            .queries = 90, .keys = 80, .head_dim = 128, .clusters = 65, .estimator = kTrapezoid}));

INSTANTIATE_TEST_SUITE_P(
    Estimators, AttentionDense,
    ::testing::Values(
        DenseSpec{.heads = 3, .queries = 130, .keys = 150, .estimator = kReference, .clip = 0.05F},
        DenseSpec{.queries = 130,
                  .keys = 150,
                  .head_dim = 64,
                  .self_loops = SelfLoops::kRemove,
                  .exploration = 0.01,
                  .dropout = 0.3,
                  .estimator = kReference,
                  .clip = 0.05F},
        DenseSpec{.queries = 130,
                  .keys = 150,
                  .head_dim = 128,
                  .padded = true,
                  .dropout = 0.1,
                  .estimator = kReference},
        DenseSpec{.batch = 2,
                  .queries = 130,
                  .keys = 150,
                  .padded = true,
                  .dropout = 0.2,
                  .estimator = kTrapezoid},
        DenseSpec{.queries = 150,
                  .keys = 130,
                  .head_dim = 64,
                  .self_loops = SelfLoops::kNone,
                  .estimator = kTrapezoid,
                  .probe_rate = 0.3},
        DenseSpec{.queries = 150,
                  .keys = 130,
                  .self_loops = SelfLoops::kRemove,
                  .padded = true,
                  .estimator = kTrapezoid,
                  .probe_rate = 0.5},
        DenseSpec{.queries = 150,
                  .keys = 130,
                  .head_dim = 128,
                  .mass = 0.05F,
                  .self_loops = SelfLoops::kRemove,
                  .estimator = kTrapezoid},
        DenseSpec{
            .queries = 130, .keys = 130, .mass = 0.02F, .estimator = kTrapezoid, .probe_rate = 0.0},
        DenseSpec{.queries = 130,
                  .keys = 150,
                  .law = MaskLaw::kPoisson,
                  .padded = true,
                  .estimator = kPaper},
        DenseSpec{.queries = 130,
                  .keys = 150,
                  .head_dim = 64,
                  .law = MaskLaw::kPoisson,
                  .dropout = 0.3,
                  .estimator = kReference,
                  .clip = 0.1F},
        DenseSpec{.queries = 130,
                  .keys = 150,
                  .head_dim = 128,
                  .law = MaskLaw::kPoisson,
                  .self_loops = SelfLoops::kNone,
                  .estimator = kTrapezoid,
                  .probe_rate = 0.4},
        DenseSpec{.queries = 140, .keys = 200, .head_dim = 64, .dropout = 0.5}));

TEST(AttentionDenseSaturation, ClosesTheCellsThatReachOne) {
  for (const Estimator estimator : {kPaper, kReference, kTrapezoid}) {
    for (const MaskLaw law : {MaskLaw::kBernoulli, MaskLaw::kPoisson}) {
      const DenseSpec spec{.heads = 2,
                           .queries = 140,
                           .keys = 90,
                           .mass = 1.8F,
                           .law = law,
                           .exploration = 0.45,
                           .estimator = estimator};
      const DenseProblem<float> problem(spec);
      EXPECT_GT(problem.saturated, 100) << "nothing to see";
      EXPECT_EQ(problem.partly_open > 0, law == MaskLaw::kPoisson);
      const DenseOutputs<float> outputs(spec);
      problem.run(outputs);
      problem.expect_matches_reference(outputs, kFloat32Tolerance);
      expect_reference<__nv_bfloat16>(spec);
    }
  }
}

TEST(AttentionDenseRows, EmptyAndOneEdgeRowsAreAmongThem) {
  for (const SelfLoops loops : {SelfLoops::kNone, SelfLoops::kAdd}) {
    const DenseSpec spec{
        .queries = 150, .keys = 130, .self_loops = loops, .dropout = 0.2, .estimator = kTrapezoid};
    const DenseProblem<float> problem(spec);
    EXPECT_GT(problem.rows_with(0), 0);
    EXPECT_GT(problem.rows_with(1), 0);
    const DenseOutputs<float> outputs(spec);
    problem.run(outputs);
    problem.expect_matches_reference(outputs, kFloat32Tolerance);
  }
}

}  // namespace
}  // namespace sbm::kernels::cuda
