// Writes the golden vectors of docs/sampler.md to standard output:
//   ./sampler_golden > tests/kernels/golden/sampler.json
// Only a new version of the contract may change the file.

#include <bit>
#include <cstdint>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "kernels/reference/sampler.h"
#include "kernels/sampler_counters.h"
#include "kernels/sampler_fixed_point.h"
#include "kernels/sampler_quantize.h"
#include "kernels/sampler_threshold.h"
#include "tests/kernels/sampler_problem.h"

namespace sbm::kernels {
namespace {

using Json = nlohmann::ordered_json;
using reference::SampledGraph;
using testing::mixed_problem;
using testing::Problem;
using testing::Uniform;

std::string hex(std::uint64_t value, int digits) {
  std::string text;
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) {
    text += "0123456789abcdef"[value >> shift & 15];
  }
  return text;
}

/// The bits of floats, 8 hexadecimal digits each.
std::string float_bits(std::span<const float> values) {
  std::string text;
  for (const float value : values) {
    if (!text.empty()) text += ' ';
    text += hex(std::bit_cast<std::uint32_t>(value), 8);
  }
  return text;
}

Json keys_of(const std::vector<PhiloxKey>& keys) {
  Json list = Json::array();
  for (const PhiloxKey key : keys) list.push_back(hex(key, 16));
  return list;
}

Json quantized_block(const SamplingParams& params, std::int64_t head) {
  Json columns = Json::array();
  std::vector<std::uint16_t> column(static_cast<std::size_t>(params.clusters));
  for (std::int64_t c = 0; c < params.clusters; ++c) {
    const int exponent =
        quantize_block_column(params.block_matrix + head * params.clusters * params.clusters + c,
                              params.clusters, params.clusters, column.data());
    columns.push_back({{"exponent", exponent}, {"entries", column}});
  }
  return columns;
}

/// Everything between the inputs of a graph and its edges.
Json describe_graph(const SamplingParams& params, std::int64_t batch, std::int64_t head) {
  const SampledGraph graph(params, batch, head);
  const EdgeList edges = graph.sample();
  Json keys = Json::array();
  const QuantizedKeys quantized = graph.keys();
  for (std::int64_t j = 0; j < params.keys; ++j) {
    keys.push_back({{"exponent", quantized.exponents[static_cast<std::size_t>(j)]},
                    {"entries", std::vector<std::uint16_t>(quantized.row(j),
                                                           quantized.row(j) + params.clusters)}});
  }
  Json rows = Json::array();
  for (std::int64_t i = 0; i < params.queries; ++i) {
    const WeightRow row = graph.weight_row(i);
    std::vector<std::uint32_t> thresholds;
    for (std::int64_t j = 0; j < params.keys; ++j) thresholds.push_back(graph.threshold(i, j));
    const auto begin = edges.row_offsets[static_cast<std::size_t>(i)];
    const auto end = edges.row_offsets[static_cast<std::size_t>(i + 1)];
    Json description = {
        {"weights", std::vector<std::uint16_t>(row.weights, row.weights + params.clusters)},
        {"exponent", row.exponent},
        {"linear", graph.is_linear(i)},
        {"thresholds", thresholds},
        {"columns",
         std::vector<std::int32_t>(edges.columns.begin() + begin, edges.columns.begin() + end)}};
    if (!edges.gates.empty()) {
      description["gates"] = float_bits(
          std::span(edges.gates)
              .subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
    }
    description["probes"] = graph.probes(i);
    rows.push_back(description);
  }
  return {{"block_columns", quantized_block(params, head)},
          {"keys", keys},
          {"rows", rows},
          {"drawn_edges", edges.drawn_edges},
          {"forced_edges", edges.forced_edges},
          {"valid_cells", edges.valid_cells}};
}

Json describe(const std::string& name, Problem& problem) {
  const SamplingParams& params = problem.point();
  Json graphs = Json::array();
  for (std::int64_t batch = 0; batch < params.batch; ++batch) {
    for (std::int64_t head = 0; head < params.heads; ++head) {
      graphs.push_back(describe_graph(params, batch, head));
    }
  }
  constexpr const char* kLaws[] = {"BERNOULLI", "POISSON"};
  constexpr const char* kSelfLoops[] = {"ADD", "REMOVE", "NONE"};
  return {{"name", name},
          {"batch", params.batch},
          {"heads", params.heads},
          {"queries", params.queries},
          {"keys", params.keys},
          {"clusters", params.clusters},
          {"law", kLaws[static_cast<int>(params.law)]},
          {"self_loops", kSelfLoops[static_cast<int>(params.self_loops)]},
          {"exploration", hex(std::bit_cast<std::uint64_t>(params.exploration), 16)},
          {"probe_rate", hex(std::bit_cast<std::uint64_t>(params.probe_rate), 16)},
          {"mask_keys", keys_of(problem.mask_keys)},
          {"probe_keys", keys_of(problem.probe_keys)},
          {"query_membership", float_bits(problem.query)},
          {"key_membership", float_bits(problem.key)},
          {"block_matrix", float_bits(problem.block)},
          {"query_valid", problem.query_valid},
          {"key_valid", problem.key_valid},
          {"graphs", graphs}};
}

Problem with(Problem problem, MaskLaw law, SelfLoops self_loops, double exploration,
             double probe_rate = 0.0) {
  problem.params.law = law;
  problem.params.self_loops = self_loops;
  problem.params.exploration = exploration;
  problem.params.probe_rate = probe_rate;
  return problem;
}

/// A stream in which the high bits of a cell tie with those of its threshold.
Problem with_tie(Problem problem) {
  for (PhiloxKey& key = problem.mask_keys[0];; ++key) {
    const SampledGraph graph(problem.point(), 0, 0);
    for (std::int64_t i = 0; i < problem.params.queries; ++i) {
      for (std::int64_t j = 0; j < problem.params.keys; ++j) {
        const auto row = static_cast<std::uint32_t>(i);
        const auto column = static_cast<std::uint32_t>(j);
        const std::uint32_t threshold = graph.threshold(i, j);
        if (high_bits(key, row, column) == threshold >> 16 &&
            low_bits(key, row, column) < (threshold & 0xFFFF)) {
          return problem;
        }
      }
    }
  }
}

/// Scales whole tokens by 2^-(0 .. largest).
void spread(std::vector<float>& memberships, std::int64_t clusters, int largest, Uniform& uniform) {
  for (std::size_t i = 0; i < memberships.size(); i += static_cast<std::size_t>(clusters)) {
    const float scale = std::ldexp(1.0F, -static_cast<int>(uniform.below(largest + 1)));
    for (std::int64_t c = 0; c < clusters; ++c)
      memberships[i + static_cast<std::size_t>(c)] *= scale;
  }
}

Json cases() {
  constexpr MaskLaw kBernoulli = MaskLaw::kBernoulli;
  constexpr MaskLaw kPoisson = MaskLaw::kPoisson;
  Uniform uniform(77);
  Json list = Json::array();
  const auto add = [&](const std::string& name, Problem problem) {
    list.push_back(describe(name, problem));
  };
  add("one cell", with(mixed_problem(1, 1, 1, 1, 1, 1, 0.5F), kBernoulli, SelfLoops::kNone, 0.0));
  add("bernoulli", with(mixed_problem(2, 1, 1, 4, 70, 3, 1.0F), kBernoulli, SelfLoops::kNone, 0.0));
  add("poisson, diagonal added",
      with(mixed_problem(3, 1, 1, 4, 70, 3, 1.0F), kPoisson, SelfLoops::kAdd, 0.01));
  add("two samples, two heads, probes",
      with(mixed_problem(4, 2, 2, 3, 9, 2, 0.8F), kBernoulli, SelfLoops::kRemove, 0.01, 0.25));
  add("every cell probed",
      with(mixed_problem(5, 1, 1, 3, 5, 2, 0.8F), kBernoulli, SelfLoops::kAdd, 0.0, 1.0));
  add("a tie",
      with_tie(with(mixed_problem(6, 1, 1, 4, 66, 2, 1.0F), kBernoulli, SelfLoops::kNone, 0.0)));
  add("many clusters",
      with(mixed_problem(7, 1, 1, 2, 5, 33, 1.0F), kBernoulli, SelfLoops::kNone, 0.0));
  add("saturation",
      with(mixed_problem(8, 1, 1, 4, 20, 3, 4.0F), kBernoulli, SelfLoops::kAdd, 0.01));
  add("saturation under poisson",
      with(mixed_problem(9, 1, 1, 4, 20, 3, 4.0F), kPoisson, SelfLoops::kNone, 1.0));
  add("linear", with(mixed_problem(10, 1, 1, 8, 600, 3, 0.008F, 60.0F), kBernoulli,
                     SelfLoops::kNone, 0.0, 0.01));
  add("linear, poisson and exploration",
      with(mixed_problem(11, 1, 1, 6, 500, 2, 0.004F), kPoisson, SelfLoops::kAdd, 0.0015));
  add("nothing but exploration",
      with(mixed_problem(12, 1, 1, 2, 500, 2, 0.0F), kBernoulli, SelfLoops::kRemove, 0.003));

  Problem magnitudes = mixed_problem(13, 1, 1, 5, 60, 3, 3.0F);
  spread(magnitudes.key, 3, 10, uniform);
  spread(magnitudes.query, 3, 24, uniform);
  add("magnitudes", with(std::move(magnitudes), kBernoulli, SelfLoops::kNone, 0.0));

  Problem both = mixed_problem(14, 1, 1, 6, 200, 3, 0.05F);
  spread(both.query, 3, 6, uniform);
  add("rows of both branches", with(std::move(both), kBernoulli, SelfLoops::kAdd, 0.0, 0.02));

  Problem padded = mixed_problem(15, 2, 1, 5, 67, 2, 0.5F);
  padded.query_valid = {1, 1, 1, 0, 0, 1, 0, 1, 1, 1};
  for (int j = 0; j < 134; ++j)
    padded.key_valid.push_back(j < 50 || (j > 70 && j % 3 != 0) ? 1 : 0);
  add("padding", with(std::move(padded), kBernoulli, SelfLoops::kAdd, 0.01, 0.1));

  // Hard clusters: two blocks of certain edges in a sparse graph, so c is at its largest.
  Problem hard(1, 1, 4, 390, 3);
  for (std::size_t i = 0; i < 4; ++i) hard.query[i * 3 + i % 3] = 1.0F;
  for (std::size_t j = 0; j < 390; ++j)
    hard.key[j * 3 + (j < 388 ? j % 2 : 2)] = j < 388 ? 0.0001F : 1.0F;
  hard.block = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  add("certain edges in a linear row", with(std::move(hard), kBernoulli, SelfLoops::kNone, 0.0));
  return list;
}

/// name(x) for a range of x, both as hexadecimal numbers.
Json function_values(const std::vector<std::uint64_t>& arguments,
                     const std::function<std::uint64_t(std::uint64_t)>& function) {
  Json list = Json::array();
  for (const std::uint64_t x : arguments) list.push_back({hex(x, 16), hex(function(x), 16)});
  return list;
}

int write() {
  std::vector<std::uint64_t> wide = {1, 2, 3, ~std::uint64_t{0}, std::uint64_t{1} << 63};
  std::vector<std::uint64_t> sums = {0, 1, 2, 3, 0xFFFFFFFF, 0x1FFFFFFFE};
  for (std::uint64_t i = 1; i < 60; ++i) {
    wide.push_back((0x9E3779B97F4A7C15U * i) >> i | 1);
    wide.push_back(~(wide.back() >> 2));
    sums.push_back((0x9E3779B97F4A7C15U * i >> 31) >> i % 33);
  }
  const Json golden = {{"sampler_version", kSamplerVersion},
                       {"negative_log", function_values(wide, negative_log)},
                       {"poisson_threshold", function_values(sums, poisson_threshold)},
                       {"cases", cases()}};
  std::cout << golden.dump(0) << '\n';
  return std::cout.good() ? 0 : 1;
}

}  // namespace
}  // namespace sbm::kernels

int main() { return sbm::kernels::write(); }
