#include "cuda_host/sampler_expect.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/reference/sampler.h"

namespace sbm::cuda_host {
namespace {

using kernels::EdgeList;
using kernels::SamplingParams;
using kernels::SelfLoops;
using kernels::cuda::EntryBytes;
using kernels::reference::SampledGraph;

/// Cells of one graph in the order of its rows.
struct Cells {
  std::vector<std::uint32_t> rows;
  std::vector<std::uint32_t> columns;
  std::vector<float> gates;
  std::vector<float> probabilities;
};

template <class Columns>
Cells cells_of(const std::vector<std::int64_t>& row_offsets, const Columns& columns,
               const SampledGraph& graph, SelfLoops self_loops) {
  Cells cells;
  for (std::size_t i = 0; i + 1 < row_offsets.size(); ++i) {
    for (std::int64_t e = row_offsets[i]; e < row_offsets[i + 1]; ++e) {
      const auto row = static_cast<std::int64_t>(i);
      const std::int64_t column = columns[static_cast<std::size_t>(e)];
      const bool forced = self_loops != SelfLoops::kNone && row == column;
      cells.rows.push_back(static_cast<std::uint32_t>(row));
      cells.columns.push_back(static_cast<std::uint32_t>(column));
      cells.gates.push_back(forced ? 0.0F : graph.gate(row, column));
      cells.probabilities.push_back(
          forced ? 1.0F : static_cast<float>(graph.threshold(row, column)) * 0x1p-32F);
    }
  }
  return cells;
}

/// One side of one graph's part of the device's lists against `expected`, whose cells stand in the
/// order of `lines` then `others`.
struct Side {
  const std::vector<std::uint32_t>& offsets;
  const std::vector<std::uint16_t>& others;
  const std::vector<float>& gates;
  const std::vector<float>& probabilities;
};

void expect_side(const std::string& name, std::int64_t graph, std::int64_t lines,
                 std::int64_t capacity, const std::vector<std::uint32_t>& expected_lines,
                 const std::vector<std::uint32_t>& expected_others,
                 const std::vector<float>& expected_gates,
                 const std::vector<float>& expected_probabilities, const Side& found) {
  SCOPED_TRACE(name);
  std::vector<std::uint32_t> offsets(static_cast<std::size_t>(lines + 1), 0);
  for (const std::uint32_t line : expected_lines) ++offsets[line + 1];
  for (std::size_t i = 1; i < offsets.size(); ++i) offsets[i] += offsets[i - 1];
  const auto first_offset = found.offsets.begin() + graph * (lines + 1);
  ASSERT_EQ(std::vector<std::uint32_t>(first_offset, first_offset + lines + 1), offsets);
  const auto part = [&](const auto& values) {
    const auto begin = values.begin() + graph * capacity;
    return std::vector(begin, begin + static_cast<std::int64_t>(expected_others.size()));
  };
  const auto others = part(found.others);
  EXPECT_EQ(std::vector<std::uint32_t>(others.begin(), others.end()), expected_others);
  EXPECT_EQ(part(found.gates), expected_gates);
  EXPECT_EQ(part(found.probabilities), expected_probabilities);
}

void expect_lists(const std::string& name, std::int64_t graph, const SamplingParams& params,
                  std::int64_t capacity, const Cells& expected, const DrawnLists& found) {
  SCOPED_TRACE(name);
  expect_side("rows", graph, params.queries, capacity, expected.rows, expected.columns,
              expected.gates, expected.probabilities,
              {found.row_offsets, found.columns, found.row_gates, found.row_probabilities});
  // By columns, rows ascending.
  std::vector<std::size_t> order(expected.rows.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
    return expected.columns[a] < expected.columns[b];
  });
  Cells turned;
  for (const std::size_t i : order) {
    turned.rows.push_back(expected.rows[i]);
    turned.columns.push_back(expected.columns[i]);
    turned.gates.push_back(expected.gates[i]);
    turned.probabilities.push_back(expected.probabilities[i]);
  }
  expect_side("columns", graph, params.keys, capacity, turned.columns, turned.rows, turned.gates,
              turned.probabilities,
              {found.column_offsets, found.rows, found.column_gates, found.column_probabilities});
}

void expect_mask(const std::string& name, std::int64_t graph, const SamplingParams& params,
                 const std::vector<std::uint32_t>& rows, const std::vector<std::uint32_t>& columns,
                 const std::vector<std::uint64_t>& found) {
  SCOPED_TRACE(name);
  const std::int64_t words = kernels::cuda::mask_words(params.queries, params.keys);
  std::vector<std::uint64_t> expected(static_cast<std::size_t>(words), 0);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto word =
        static_cast<std::size_t>(kernels::cuda::mask_word(params.keys, rows[i], columns[i]));
    expected[word] |= std::uint64_t{1} << kernels::cuda::column_to_bit(
                          static_cast<int>(columns[i] % kernels::cuda::kMaskTile));
  }
  const auto begin = found.begin() + graph * words;
  EXPECT_EQ(std::vector<std::uint64_t>(begin, begin + words), expected);
}

std::vector<std::uint32_t> entries_of(const std::vector<EntryBytes>& rows, std::int64_t row,
                                      std::int64_t units) {
  std::vector<std::uint32_t> entries;
  for (std::int64_t unit = 0; unit < units; ++unit) {
    for (int i = 0; i < kernels::cuda::kUnitEntries; ++i) {
      entries.push_back(
          kernels::cuda::unit_entry(rows[static_cast<std::size_t>(row * units + unit)], i));
    }
  }
  return entries;
}

std::vector<std::uint32_t> padded(const std::uint16_t* entries, std::int64_t clusters,
                                  std::int64_t units) {
  std::vector<std::uint32_t> row(entries, entries + clusters);
  row.resize(static_cast<std::size_t>(units * kernels::cuda::kUnitEntries), 0);
  return row;
}

void expect_operands(std::int64_t graph, const SamplingParams& params, const SampledGraph& expected,
                     const DrawnGraphs& drawn) {
  const std::int64_t units = kernels::cuda::entry_units(params.clusters);
  const kernels::QuantizedKeys keys = expected.keys();
  for (std::int64_t j = 0; j < params.keys; ++j) {
    const std::int64_t place = graph * params.keys + j;
    ASSERT_EQ(entries_of(drawn.key_entries, place, units),
              padded(keys.row(j), params.clusters, units))
        << "key " << j;
    ASSERT_EQ(drawn.key_exponents[static_cast<std::size_t>(place)],
              keys.exponents[static_cast<std::size_t>(j)])
        << "key " << j;
  }
  for (std::int64_t i = 0; i < params.queries; ++i) {
    const std::int64_t place = graph * params.queries + i;
    const kernels::WeightRow row = expected.weight_row(i);
    ASSERT_EQ(entries_of(drawn.weights, place, units), padded(row.weights, params.clusters, units))
        << "row " << i;
    ASSERT_EQ(drawn.row_exponents[static_cast<std::size_t>(place)], row.exponent) << "row " << i;
  }
}

void expect_graph(std::int64_t graph, const SamplingParams& params, const SamplerChoice& choice,
                  const DrawnGraphs& drawn) {
  const SampledGraph expected(params, graph / params.heads, graph % params.heads);
  expect_operands(graph, params, expected, drawn);
  const EdgeList list = expected.sample();
  const auto count = [&](std::int64_t i) {
    return drawn.edge_counts[static_cast<std::size_t>(3 * graph + i)];
  };
  EXPECT_EQ(count(0), list.drawn_edges);
  EXPECT_EQ(count(1), list.forced_edges);
  EXPECT_EQ(count(2), list.valid_cells);

  const Cells edges = cells_of(list.row_offsets, list.columns, expected, params.self_loops);
  const auto number = static_cast<std::uint32_t>(graph);
  const bool dense = std::ranges::binary_search(drawn.dense, number);
  const bool sparse = std::ranges::binary_search(drawn.sparse, number);
  ASSERT_NE(dense, sparse);
  if (dense) {
    expect_mask("mask", graph, params, edges.rows, edges.columns, drawn.mask);
    if (!choice.probe_mask) return;
    Cells probed;
    for (std::int64_t i = 0; i < params.queries; ++i) {
      for (const std::int32_t j : expected.probes(i)) {
        if (!expected.is_valid(i, j)) continue;
        probed.rows.push_back(static_cast<std::uint32_t>(i));
        probed.columns.push_back(static_cast<std::uint32_t>(j));
      }
    }
    expect_mask("probe_mask", graph, params, probed.rows, probed.columns, drawn.probe_mask);
    return;
  }
  expect_lists("edges", graph, params, choice.edge_capacity, edges, drawn.edges);
  if (choice.probe_capacity == 0) return;
  const Cells probes =
      cells_of(list.probes.row_offsets, list.probes.columns, expected, params.self_loops);
  expect_lists("probes", graph, params, choice.probe_capacity, probes, drawn.probes);
}

}  // namespace

void expect_reference(kernels::testing::Problem& problem, const SamplerChoice& choice,
                      const DrawnGraphs& drawn) {
  const SamplingParams& params = problem.point();
  EXPECT_EQ(drawn.invalid_values, 0U);
  EXPECT_TRUE(std::ranges::is_sorted(drawn.dense));
  EXPECT_TRUE(std::ranges::is_sorted(drawn.sparse));
  for (std::int64_t graph = 0; graph < problem.graphs(); ++graph) {
    SCOPED_TRACE("graph " + std::to_string(graph));
    expect_graph(graph, params, choice, drawn);
  }
}

}  // namespace sbm::cuda_host
