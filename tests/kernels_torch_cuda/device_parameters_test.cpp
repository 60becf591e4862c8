#include "kernels/torch/device_parameters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace sbm::kernels::torch {
namespace {

AttentionShape shape_with(AttentionPath path, double dense_from = 0.0) {
  return {.batch = 2,
          .heads = 3,
          .queries = 2048,
          .keys = 1024,
          .head_dim = 32,
          .clusters = 16,
          .path = path,
          .dense_from = dense_from};
}

TEST(GraphPlan, AutoListsWhatIsExpectedToBeSparse) {
  const GraphPlan plan = plan_graphs(shape_with(AttentionPath::kAuto), Estimator::kPaper, 0.0);
  EXPECT_EQ(plan.path.path, AttentionPath::kAuto);
  EXPECT_EQ(plan.path.sparse_below, cuda::kSparseBelow);
  EXPECT_EQ(plan.edge_capacity, cuda::list_capacity(2048, 1024, cuda::kSparseBelow));
  EXPECT_EQ(plan.probe_capacity, 0);
  EXPECT_FALSE(plan.probe_mask);
  const GraphPlan other =
      plan_graphs(shape_with(AttentionPath::kAuto, 0.1), Estimator::kReference, 0.0);
  EXPECT_EQ(other.path.sparse_below, 0.1);
  EXPECT_EQ(other.edge_capacity, cuda::list_capacity(2048, 1024, 0.1));
}

TEST(GraphPlan, DenseHasNoListsAndSparseHasRoomForAQuarter) {
  const GraphPlan dense = plan_graphs(shape_with(AttentionPath::kDense), Estimator::kPaper, 0.0);
  EXPECT_EQ(dense.path.path, AttentionPath::kDense);
  EXPECT_EQ(dense.edge_capacity, 0);
  const GraphPlan sparse = plan_graphs(shape_with(AttentionPath::kSparse), Estimator::kPaper, 0.0);
  EXPECT_EQ(sparse.path.path, AttentionPath::kSparse);
  EXPECT_EQ(sparse.edge_capacity, cuda::list_capacity(2048, 1024, kListedDensity));
}

TEST(GraphPlan, ProbesAreListedOnlyWhereTheyAreFew) {
  const auto plan = [](AttentionPath path, double rate, Estimator estimator) {
    return plan_graphs(shape_with(path), estimator, rate);
  };
  const GraphPlan few = plan(AttentionPath::kAuto, 0.01, Estimator::kTrapezoid);
  EXPECT_EQ(few.path.path, AttentionPath::kAuto);
  EXPECT_EQ(few.probe_capacity, cuda::list_capacity(2048, 1024, 0.01));
  EXPECT_TRUE(few.probe_mask);
  const GraphPlan many = plan(AttentionPath::kAuto, 0.3, Estimator::kTrapezoid);
  EXPECT_EQ(many.path.path, AttentionPath::kDense);
  EXPECT_EQ(many.edge_capacity, 0);
  EXPECT_EQ(many.probe_capacity, 0);
  EXPECT_TRUE(many.probe_mask);
  // Every cell, or none: no mask says which.
  EXPECT_FALSE(plan(AttentionPath::kDense, 1.0, Estimator::kTrapezoid).probe_mask);
  EXPECT_FALSE(plan(AttentionPath::kDense, 0.0, Estimator::kTrapezoid).probe_mask);
  EXPECT_FALSE(plan(AttentionPath::kDense, 0.3, Estimator::kPaper).probe_mask);
  EXPECT_GT(plan(AttentionPath::kSparse, 0.3, Estimator::kTrapezoid).probe_capacity, 0);
  EXPECT_EQ(plan(AttentionPath::kSparse, 0.0, Estimator::kTrapezoid).probe_capacity, 0);
}

std::vector<Region> regions_of(const ListLayout& lists) {
  return {
      lists.row_offsets, lists.columns,      lists.column_offsets,    lists.rows,
      lists.row_gates,   lists.column_gates, lists.row_probabilities, lists.column_probabilities};
}

std::vector<Region> regions_of(const GraphLayout& layout) {
  std::vector<Region> regions = {layout.mask,          layout.probe_mask,    layout.dense_graphs,
                                 layout.dense_count,   layout.sparse_graphs, layout.sparse_count,
                                 layout.weights,       layout.row_exponents, layout.key_entries,
                                 layout.key_exponents, layout.invalid_values};
  for (const ListLayout* lists : {&layout.edges, &layout.probes}) {
    for (const Region& region : regions_of(*lists)) regions.push_back(region);
  }
  return regions;
}

TEST(GraphLayout, GivesEveryArrayItsOwnAlignedPlace) {
  std::mt19937 generator(7);
  const auto random = [&](std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(generator);
  };
  for (int round = 0; round < 200; ++round) {
    const GraphSizes sizes = {.graphs = random(0, 9),
                              .queries = random(0, 200),
                              .keys = random(0, 200),
                              .clusters = random(1, 256),
                              .edge_capacity = random(0, 1) * random(1, 999),
                              .probe_capacity = random(0, 1) * random(1, 999),
                              .probe_mask = random(0, 1) == 1,
                              .probabilities = random(0, 1) == 1};
    const GraphLayout layout = lay_out_graphs(sizes);
    std::vector<Region> regions = regions_of(layout);
    std::erase_if(regions, [](const Region& region) { return region.bytes == 0; });
    std::sort(regions.begin(), regions.end(),
              [](const Region& a, const Region& b) { return a.offset < b.offset; });
    std::int64_t end = 0;
    for (const Region& region : regions) {
      EXPECT_EQ(region.offset % kRegionAlignment, 0);
      EXPECT_GE(region.offset, end);
      EXPECT_LT(region.offset, end + kRegionAlignment);
      end = region.offset + region.bytes;
    }
    EXPECT_GE(layout.bytes, end);
    EXPECT_LT(layout.bytes, end + kRegionAlignment);
    EXPECT_EQ(layout.edges.row_probabilities.bytes > 0,
              sizes.probabilities && sizes.edge_capacity > 0 && sizes.graphs > 0);
  }
}

// The memory saved for the backward of one head at n = 16,384: bits, not floats.
TEST(GraphLayout, SavesBitsAndListsAlone) {
  const std::int64_t n = 16384;
  const GraphLayout dense = lay_out_graphs({.graphs = 1, .queries = n, .keys = n, .clusters = 128});
  EXPECT_LT(dense.bytes, n * n / 8 + n * (2 * 2 * 128 + 16));
  const std::int64_t capacity = cuda::list_capacity(n, n, cuda::kSparseBelow);
  const GraphLayout listed = lay_out_graphs(
      {.graphs = 1, .queries = n, .keys = n, .clusters = 128, .edge_capacity = capacity});
  EXPECT_LT(listed.bytes, dense.bytes + 12 * capacity + 8 * (n + 200));
}

TEST(KernelRows, CopiesOnlyWhatKernelsCannotLoad) {
  const at::Tensor whole = at::randn({2, 3, 5, 32});
  EXPECT_TRUE(kernel_rows(whole, 32).is_same(whole));
  const at::Tensor projection = at::randn({2, 5, 3, 32}).transpose(1, 2);
  EXPECT_TRUE(kernel_rows(projection, 32).is_same(projection));
  const auto expect_copy = [](const at::Tensor& tensor) {
    const at::Tensor rows = kernel_rows(tensor, 32);
    EXPECT_FALSE(rows.is_same(tensor));
    EXPECT_TRUE(at::equal(rows, tensor));
    EXPECT_TRUE(rows.is_contiguous());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(rows.const_data_ptr()) % 16, 0U);
  };
  expect_copy(at::randn({2, 3, 32, 5}).transpose(2, 3));   // rows are not dense
  expect_copy(at::randn({2, 3, 5, 33}).narrow(3, 0, 32));  // strides of 33
  expect_copy(at::randn({2 * 3 * 5 * 32 + 1}).narrow(0, 1, 960).view({2, 3, 5, 32}));  // address
  expect_copy(at::randn({2, 3, 5, 36}).to(at::kBFloat16).narrow(3, 0, 32));
  // A dimension of one token has no stride that matters.
  const at::Tensor one = at::randn({1, 33}).as_strided({1, 1, 1, 32}, {33, 33, 33, 1});
  EXPECT_TRUE(kernel_rows(one, 32).is_same(one));
}

TEST(KernelRows, FillsUpWithZeros) {
  const at::Tensor narrow = at::randn({2, 5, 3, 20}).transpose(1, 2);
  const at::Tensor rows = kernel_rows(narrow, kernel_head_dim(20));
  EXPECT_EQ(rows.sizes(), at::IntArrayRef({2, 3, 5, 32}));
  EXPECT_TRUE(at::equal(rows.narrow(3, 0, 20), narrow));
  EXPECT_EQ(rows.narrow(3, 20, 12).abs().max().item<float>(), 0.0F);
  EXPECT_EQ(kernel_head_dim(1), 32);
  EXPECT_EQ(kernel_head_dim(33), 64);
  EXPECT_EQ(kernel_head_dim(65), 128);
  EXPECT_THROW(kernel_head_dim(129), c10::Error);
}

TEST(KernelRows, GradientsComeBackInTheInputsLayout) {
  for (const std::int64_t head_dim : {20, 32}) {
    const at::Tensor input = at::randn({2, 5, 3, head_dim}).transpose(1, 2);
    at::Tensor gradient = kernel_gradient_like(input, 32);
    EXPECT_EQ(gradient.size(3), 32);
    EXPECT_TRUE(kernel_rows(gradient, 32).is_same(gradient));
    gradient.normal_();
    const at::Tensor found = gradient_of(gradient, input);
    EXPECT_EQ(found.strides(), input.strides());
    EXPECT_TRUE(at::equal(found, gradient.narrow(3, 0, head_dim)));
  }
}

}  // namespace
}  // namespace sbm::kernels::torch
