#include <gtest/gtest.h>

#include "cuda_host/order.h"
#include "tests/cuda_host/attention_dense_problem.h"

// The dense-masked path gives the same bits whatever the order of threads and blocks.
namespace sbm::kernels::cuda {
namespace {

template <class Element>
void expect_equal_bits(const DenseSpec& spec) {
  SCOPED_TRACE(spec.name());
  const DenseProblem<Element> problem(spec);
  std::vector<unsigned char> first;
  cuda_host::for_each_order([&] {
    const DenseOutputs<Element> outputs(spec);
    problem.run(outputs);
    const std::vector<unsigned char> bytes = outputs.bytes();
    if (first.empty()) first = bytes;
    EXPECT_TRUE(bytes == first) << cuda_host::current_order().name();
  });
}

// Between them: every stage count, one and two strips, the three forms, all bits of a cell, graphs
// outside of the list, and pipelines of more tiles than stages.
TEST(AttentionDenseOrder, PaperInFloat32) {
  expect_equal_bits<float>({.heads = 2, .queries = 70, .keys = 193, .dropout = 0.1});
}

TEST(AttentionDenseOrder, PaperInBfloat16) {
  expect_equal_bits<__nv_bfloat16>({.queries = 140, .keys = 193, .dropout = 0.1});
}

TEST(AttentionDenseOrder, ReferenceInBfloat16) {
  expect_equal_bits<__nv_bfloat16>({.queries = 193,
                                    .keys = 70,
                                    .head_dim = 64,
                                    .mass = 1.8F,
                                    .exploration = 0.45,
                                    .estimator = Estimator::kReference});
}

TEST(AttentionDenseOrder, TrapezoidInBfloat16) {
  expect_equal_bits<__nv_bfloat16>({.queries = 140,
                                    .keys = 130,
                                    .head_dim = 64,
                                    .clusters = 40,
                                    .padded = true,
                                    .dropout = 0.1,
                                    .estimator = Estimator::kTrapezoid,
                                    .probe_rate = 0.5});
}

TEST(AttentionDenseOrder, OneStageInFloat32) {
  expect_equal_bits<float>({.queries = 70, .keys = 130, .head_dim = 128, .clusters = 40});
}

}  // namespace
}  // namespace sbm::kernels::cuda
