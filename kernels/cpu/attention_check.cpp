#include "kernels/cpu/attention_check.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/attention_dropout.h"
#include "kernels/cpu/attention_tiles.h"

namespace sbm::kernels::cpu {
namespace {

/// Collects the first problem of a call.
class Checker {
 public:
  explicit Checker(const char* function) : function_(function) {}

  void expect(bool condition, const char* what, const std::string& expected,
              const std::string& found) {
    if (condition || !status_.ok()) return;
    status_ = Status::invalid(std::string(function_) + ": " + what + ": expected " + expected +
                              ", found " + found);
  }
  void range(std::int64_t value, std::int64_t low, std::int64_t high, const char* what) {
    expect(value >= low && value <= high, what, std::to_string(low) + " to " + std::to_string(high),
           std::to_string(value));
  }
  template <typename T>
  void pointer(const T* data, bool needed, const char* what) {
    expect(data != nullptr || !needed, what, "a pointer", "null");
  }

  [[nodiscard]] bool ok() const { return status_.ok(); }
  [[nodiscard]] Status status() const { return status_; }

 private:
  const char* function_;
  Status status_;
};

void check_shape(const AttentionShape& shape, Checker& checker) {
  constexpr std::int64_t kMaxTokens = std::numeric_limits<std::int32_t>::max() - 63;
  constexpr std::int64_t kMaxGraphs = std::numeric_limits<std::int32_t>::max();
  checker.range(shape.batch, 0, kMaxGraphs, "batch");
  checker.range(shape.heads, 0, kMaxGraphs, "heads");
  checker.range(shape.queries, 0, kMaxTokens, "queries");
  checker.range(shape.keys, 0, kMaxTokens, "keys");
  checker.range(shape.head_dim, 1, 1 << 20, "head_dim");
  checker.range(static_cast<std::int64_t>(shape.path), 0,
                static_cast<std::int64_t>(AttentionPath::kSparse), "path");
  checker.expect(shape.dense_from >= 0.0 && shape.dense_from <= 1.0, "dense_from", "0 to 1",
                 std::to_string(shape.dense_from));
  checker.expect(std::isfinite(shape.scale), "scale", "a finite number",
                 std::to_string(shape.scale));
  const bool dropout_fits = shape.dropout >= 0.0 && shape.dropout < 1.0 &&
                            attention_dropout_threshold(shape.dropout) < 65536;
  checker.expect(dropout_fits, "dropout", "0 or more and, rounded to 1/65536, less than 1",
                 std::to_string(shape.dropout));
  if (!checker.ok()) return;
  checker.pointer(shape.dropout_keys, shape.dropout > 0.0 && shape.batch * shape.heads > 0,
                  "dropout_keys");
}

/// Whether the keys of every row lie in [0, keys) and ascend. Every edge of every call goes through
/// here, so the inner loop has no branch and no sum that would keep it from being vectorised.
bool all_ascending(const CellRows& cells, std::int64_t keys) {
  bool sound = true;
  for (std::int64_t i = 0; i < cells.rows; ++i) {
    const std::int64_t begin = cells.row_offsets[i];
    const std::int64_t end = cells.row_offsets[i + 1];
    if (begin == end) continue;
    std::int32_t falls = 0;
    for (std::int64_t e = begin + 1; e < end; ++e) {
      falls |= static_cast<std::int32_t>(cells.columns[e] <= cells.columns[e - 1]);
    }
    // Ascending keys are between the first and the last.
    sound = sound && falls == 0 && cells.columns[begin] >= 0 && cells.columns[end - 1] < keys;
  }
  return sound;
}

/// The first cell of `cells` that is out of order, or nothing.
void check_columns(const CellRows& cells, std::int64_t keys, const std::string& name,
                   Checker& checker) {
  if (all_ascending(cells, keys)) return;
  for (std::int64_t i = 0; i < cells.rows; ++i) {
    std::int64_t before = -1;
    for (std::int64_t edge = cells.row_offsets[i]; edge < cells.row_offsets[i + 1]; ++edge) {
      const std::int64_t column = cells.columns[edge];
      if (column > before && column < keys) {
        before = column;
        continue;
      }
      const std::string after = before < 0 ? "" : " after " + std::to_string(before);
      checker.expect(
          false, (name + ".columns").c_str(),
          "ascending keys below " + std::to_string(keys) + " in row " + std::to_string(i),
          std::to_string(column) + after);
      return;
    }
  }
}

/// The arrays of a graph, or of its probes.
struct CellArrays {
  const std::vector<std::int64_t>& row_offsets;
  const std::vector<std::int32_t>& columns;
  const std::vector<float>& gates;
  const std::vector<float>& probabilities;
};

void check_arrays(const CellArrays& cells, std::int64_t queries, const std::string& name,
                  Checker& checker) {
  const auto rows = static_cast<std::size_t>(queries);
  const auto edges = static_cast<std::int64_t>(cells.columns.size());
  checker.expect(cells.row_offsets.size() == rows + 1, (name + ".row_offsets").c_str(),
                 std::to_string(rows + 1) + " elements", std::to_string(cells.row_offsets.size()));
  const auto optional = [&](const std::vector<float>& values, const char* member) {
    checker.expect(values.empty() || values.size() == cells.columns.size(), (name + member).c_str(),
                   "none or " + std::to_string(edges) + " elements", std::to_string(values.size()));
  };
  optional(cells.gates, ".gates");
  optional(cells.probabilities, ".probabilities");
  if (!checker.ok()) return;
  checker.expect(cells.row_offsets.front() == 0 && cells.row_offsets.back() == edges,
                 (name + ".row_offsets").c_str(), "0 first and " + std::to_string(edges) + " last",
                 std::to_string(cells.row_offsets.front()) + " and " +
                     std::to_string(cells.row_offsets.back()));
  if (!checker.ok()) return;
  bool ascending = true;
  for (std::size_t i = 0; i < rows; ++i) {
    ascending = ascending && cells.row_offsets[i] <= cells.row_offsets[i + 1];
  }
  checker.expect(ascending, (name + ".row_offsets").c_str(), "ascending offsets",
                 "a row that ends before it starts");
}

void check_graph(const EdgeList& graph, const AttentionShape& shape, const std::string& name,
                 Checker& checker) {
  check_arrays({graph.row_offsets, graph.columns, graph.gates, graph.probabilities}, shape.queries,
               name, checker);
  if (checker.ok()) check_columns(edges_of(graph), shape.keys, name, checker);
}

/// What TRAPEZOID reads besides the edges.
void check_probes(const EdgeList& graph, const AttentionShape& shape, const std::string& name,
                  Checker& checker) {
  checker.expect(graph.probabilities.size() == graph.columns.size(),
                 (name + ".probabilities").c_str(),
                 std::to_string(graph.columns.size()) + " elements (TRAPEZOID needs q)",
                 std::to_string(graph.probabilities.size()));
  const ProbeList& probes = graph.probes;
  if (!checker.ok() || (probes.row_offsets.empty() && probes.columns.empty())) return;
  const std::string probes_name = name + ".probes";
  check_arrays({probes.row_offsets, probes.columns, probes.gates, probes.probabilities},
               shape.queries, probes_name, checker);
  checker.expect(probes.probabilities.size() == probes.columns.size(),
                 (probes_name + ".probabilities").c_str(),
                 std::to_string(probes.columns.size()) + " elements",
                 std::to_string(probes.probabilities.size()));
  if (checker.ok()) check_columns(probes_of(graph), shape.keys, probes_name, checker);
}

template <typename Params>
void check_inputs(const Params& params, Checker& checker) {
  check_shape(params.shape, checker);
  if (!checker.ok()) return;
  const AttentionShape& shape = params.shape;
  const auto graphs = static_cast<std::size_t>(shape.batch * shape.heads);
  checker.expect(params.graphs.size() == graphs, "graphs",
                 std::to_string(graphs) + " (batch x heads)", std::to_string(params.graphs.size()));
  const bool has_queries = graphs > 0 && shape.queries > 0;
  const bool has_keys = graphs > 0 && shape.keys > 0;
  checker.pointer(params.query.data, has_queries, "query");
  checker.pointer(params.key.data, has_keys, "key");
  checker.pointer(params.value.data, has_keys, "value");
  checker.pointer(params.output.data, has_queries, "output");
  checker.pointer(params.log_sum_exp, has_queries, "log_sum_exp");
  for (std::size_t g = 0; checker.ok() && g < graphs; ++g) {
    check_graph(params.graphs[g], shape, "graphs[" + std::to_string(g) + "]", checker);
  }
}

}  // namespace

Status check(const ForwardParams& params) {
  Checker checker("attention_forward");
  check_inputs(params, checker);
  return checker.status();
}

Status check(const BackwardParams& params) {
  Checker checker("attention_backward");
  check_inputs(params, checker);
  const AttentionShape& shape = params.shape;
  checker.range(shape.clusters, 1, 256, "clusters");
  const EstimatorParams& estimator = params.estimator;
  const int number = static_cast<int>(estimator.estimator);
  checker.range(number, 0, static_cast<int>(Estimator::kTrapezoid), "estimator");
  checker.expect(estimator.clip >= 0.0F, "clip", "0 or more", std::to_string(estimator.clip));
  if (checker.ok() && estimator.estimator == Estimator::kTrapezoid) {
    checker.expect(estimator.probe_rate >= 0.0 && estimator.probe_rate <= 1.0, "probe_rate",
                   "0 to 1", std::to_string(estimator.probe_rate));
    for (std::size_t g = 0; checker.ok() && g < params.graphs.size(); ++g) {
      const std::string name = "graphs[" + std::to_string(g) + "]";
      check_probes(params.graphs[g], shape, name, checker);
      checker.expect(estimator.probe_rate > 0.0 || params.graphs[g].probes.columns.empty(),
                     "probe_rate", "more than 0 where there are probes", "0");
    }
  }
  if (!checker.ok()) return checker.status();

  const bool has_queries = shape.batch * shape.heads * shape.queries > 0;
  const bool has_keys = shape.batch * shape.heads * shape.keys > 0;
  checker.pointer(params.grad_output.data, has_queries, "grad_output");
  checker.pointer(params.query_membership, has_queries, "query_membership");
  checker.pointer(params.key_membership, has_keys, "key_membership");
  checker.pointer(params.grad_query.data, has_queries, "grad_query");
  checker.pointer(params.grad_key.data, has_keys, "grad_key");
  checker.pointer(params.grad_value.data, has_keys, "grad_value");
  checker.pointer(params.query_product, has_queries, "query_product");
  checker.pointer(params.key_product, has_keys, "key_product");
  return checker.status();
}

}  // namespace sbm::kernels::cpu
