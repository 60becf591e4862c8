// The golden vectors of docs/sampler.md, through the reference and through every instruction set.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/cpu/sampler.h"
#include "kernels/reference/sampler.h"
#include "kernels/sampler_fixed_point.h"
#include "kernels/sampler_quantize.h"
#include "kernels/sampler_threshold.h"
#include "tests/kernels/sampler_golden.h"
#include "tests/kernels/sampler_problem.h"
#include "tests/kernels/sampler_targets.h"

namespace sbm::kernels {
namespace {

using reference::SampledGraph;
using testing::floats;
using testing::golden;
using testing::Json;
using testing::number;
using testing::Problem;
using testing::problem_of;

void expect_edges(const Json& expected, const EdgeList& found) {
  const Json& rows = expected["rows"];
  ASSERT_EQ(found.row_offsets.size(), rows.size() + 1);
  EXPECT_EQ(found.drawn_edges, expected["drawn_edges"]);
  EXPECT_EQ(found.forced_edges, expected["forced_edges"]);
  EXPECT_EQ(found.valid_cells, expected["valid_cells"]);
  EXPECT_EQ(found.gates.empty(), !rows[0].contains("gates"));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto begin = found.row_offsets[i];
    const auto end = found.row_offsets[i + 1];
    EXPECT_EQ(std::vector<std::int32_t>(found.columns.begin() + begin, found.columns.begin() + end),
              rows[i]["columns"].get<std::vector<std::int32_t>>())
        << "row " << i;
    if (found.gates.empty()) continue;
    EXPECT_EQ(std::vector<float>(found.gates.begin() + begin, found.gates.begin() + end),
              floats(rows[i]["gates"]))
        << "row " << i;
  }
}

void expect_steps(const Json& expected, const SamplingParams& params, std::int64_t batch,
                  std::int64_t head) {
  std::vector<std::uint16_t> column(static_cast<std::size_t>(params.clusters));
  for (std::int64_t c = 0; c < params.clusters; ++c) {
    const int exponent =
        quantize_block_column(params.block_matrix + head * params.clusters * params.clusters + c,
                              params.clusters, params.clusters, column.data());
    const Json& wanted = expected["block_columns"][static_cast<std::size_t>(c)];
    EXPECT_EQ(exponent, wanted["exponent"]);
    EXPECT_EQ(column, wanted["entries"].get<std::vector<std::uint16_t>>());
  }
  const SampledGraph graph(params, batch, head);
  const QuantizedKeys keys = graph.keys();
  for (std::int64_t j = 0; j < params.keys; ++j) {
    const Json& wanted = expected["keys"][static_cast<std::size_t>(j)];
    EXPECT_EQ(keys.exponents[static_cast<std::size_t>(j)], wanted["exponent"]);
    EXPECT_EQ(std::vector<std::uint16_t>(keys.row(j), keys.row(j) + params.clusters),
              wanted["entries"].get<std::vector<std::uint16_t>>());
  }
  for (std::int64_t i = 0; i < params.queries; ++i) {
    const Json& wanted = expected["rows"][static_cast<std::size_t>(i)];
    const WeightRow row = graph.weight_row(i);
    EXPECT_EQ(row.exponent, wanted["exponent"]);
    EXPECT_EQ(std::vector<std::uint16_t>(row.weights, row.weights + params.clusters),
              wanted["weights"].get<std::vector<std::uint16_t>>());
    EXPECT_EQ(graph.is_linear(i), wanted["linear"]);
    EXPECT_EQ(graph.probes(i), wanted["probes"].get<std::vector<std::int32_t>>());
    for (std::int64_t j = 0; j < params.keys; ++j) {
      EXPECT_EQ(graph.threshold(i, j), wanted["thresholds"][static_cast<std::size_t>(j)]);
    }
  }
}

TEST(SamplerGolden, VersionIsTheOneInForce) {
  EXPECT_EQ(golden()["sampler_version"], kSamplerVersion);
}

TEST(SamplerGolden, Functions) {
  for (const Json& pair : golden()["negative_log"]) {
    EXPECT_EQ(negative_log(number(pair[0])), number(pair[1])) << pair;
  }
  for (const Json& pair : golden()["poisson_threshold"]) {
    EXPECT_EQ(poisson_threshold(number(pair[0])), number(pair[1])) << pair;
  }
}

TEST(SamplerGolden, EveryStepOfTheReference) {
  for (const Json& description : golden()["cases"]) {
    SCOPED_TRACE(description["name"].get<std::string>());
    Problem problem = problem_of(description);
    const SamplingParams& params = problem.point();
    for (std::int64_t graph = 0; graph < problem.graphs(); ++graph) {
      const Json& expected = description["graphs"][static_cast<std::size_t>(graph)];
      expect_steps(expected, params, graph / params.heads, graph % params.heads);
      expect_edges(expected,
                   SampledGraph(params, graph / params.heads, graph % params.heads).sample());
    }
  }
}

TEST(SamplerGolden, EveryInstructionSet) {
  for (const std::int64_t target : testing::supported_targets()) {
    const testing::ForcedTarget forced(target);
    for (const Json& description : golden()["cases"]) {
      SCOPED_TRACE(hwy::TargetName(target) + (": " + description["name"].get<std::string>()));
      Problem problem = problem_of(description);
      SerialExecutor serial;
      std::vector<EdgeList> found(static_cast<std::size_t>(problem.graphs()));
      ASSERT_EQ(cpu::sample_edges(problem.point(), serial, found).message(), "");
      for (std::size_t i = 0; i < found.size(); ++i) {
        expect_edges(description["graphs"][i], found[i]);
      }
    }
  }
}

}  // namespace
}  // namespace sbm::kernels
