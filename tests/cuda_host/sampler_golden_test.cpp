// The golden vectors of docs/sampler.md through the CUDA sampler, on both paths.

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cuda_host/order.h"
#include "cuda_host/sampler_device.h"
#include "tests/kernels/sampler_golden.h"

namespace sbm::cuda_host {
namespace {

using kernels::AttentionPath;
using kernels::testing::golden;
using kernels::testing::Json;
using kernels::testing::Problem;
using kernels::testing::problem_of;

/// The columns of a row of the mask.
std::vector<std::int32_t> mask_columns(const DrawnGraphs& drawn,
                                       const kernels::SamplingParams& params, std::int64_t graph,
                                       std::int64_t row) {
  std::vector<std::int32_t> columns;
  const std::int64_t words = kernels::cuda::mask_words(params.queries, params.keys);
  for (std::int64_t j = 0; j < params.keys; ++j) {
    const std::int64_t word = graph * words + kernels::cuda::mask_word(params.keys, row, j);
    const int bit = kernels::cuda::column_to_bit(static_cast<int>(j % kernels::cuda::kMaskTile));
    if ((drawn.mask[static_cast<std::size_t>(word)] >> bit & 1) != 0) {
      columns.push_back(static_cast<std::int32_t>(j));
    }
  }
  return columns;
}

std::vector<std::int32_t> list_columns(const DrawnGraphs& drawn,
                                       const kernels::SamplingParams& params, std::int64_t capacity,
                                       std::int64_t graph, std::int64_t row) {
  const auto offset = drawn.edges.row_offsets.begin() + graph * (params.queries + 1) + row;
  const auto list = drawn.edges.columns.begin() + graph * capacity;
  return {list + offset[0], list + offset[1]};
}

void expect_golden(AttentionPath path) {
  for (const Json& description : golden()["cases"]) {
    SCOPED_TRACE(description["name"].get<std::string>());
    Problem problem = problem_of(description);
    const kernels::SamplingParams& params = problem.point();
    SamplerChoice choice;
    choice.plan.path = path;
    // Room for the six deviations that the plan wants free.
    if (path == AttentionPath::kSparse) {
      choice.edge_capacity = 2 * params.queries * params.keys + 4096;
    }
    const DrawnGraphs drawn = draw_on_device(problem, choice);
    if (::testing::Test::HasFailure()) return;
    EXPECT_EQ(drawn.sparse.size(), path == AttentionPath::kSparse ? problem.mask_keys.size() : 0);
    for (std::int64_t graph = 0; graph < problem.graphs(); ++graph) {
      const Json& expected = description["graphs"][static_cast<std::size_t>(graph)];
      EXPECT_EQ(drawn.edge_counts[static_cast<std::size_t>(3 * graph)], expected["drawn_edges"]);
      EXPECT_EQ(drawn.edge_counts[static_cast<std::size_t>(3 * graph + 1)],
                expected["forced_edges"]);
      EXPECT_EQ(drawn.edge_counts[static_cast<std::size_t>(3 * graph + 2)],
                expected["valid_cells"]);
      for (std::int64_t row = 0; row < params.queries; ++row) {
        const auto columns = path == AttentionPath::kSparse
                                 ? list_columns(drawn, params, choice.edge_capacity, graph, row)
                                 : mask_columns(drawn, params, graph, row);
        EXPECT_EQ(columns, expected["rows"][static_cast<std::size_t>(row)]["columns"]
                               .get<std::vector<std::int32_t>>())
            << "row " << row;
      }
    }
  }
}

TEST(SamplerCudaGolden, Masks) {
  for_each_order([] { expect_golden(AttentionPath::kDense); });
}

TEST(SamplerCudaGolden, Lists) {
  for_each_order([] { expect_golden(AttentionPath::kSparse); });
}

}  // namespace
}  // namespace sbm::cuda_host
