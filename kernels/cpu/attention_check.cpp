#include "kernels/cpu/attention_check.h"

#include <cmath>
#include <limits>
#include <string>

#include "kernels/attention_dropout.h"

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
bool all_ascending(const EdgeList& graph, std::int64_t keys) {
  const std::int32_t* columns = graph.columns.data();
  bool sound = true;
  for (std::size_t i = 0; i + 1 < graph.row_offsets.size(); ++i) {
    const std::int64_t begin = graph.row_offsets[i];
    const std::int64_t end = graph.row_offsets[i + 1];
    if (begin == end) continue;
    std::int32_t falls = 0;
    for (std::int64_t e = begin + 1; e < end; ++e) {
      falls |= static_cast<std::int32_t>(columns[e] <= columns[e - 1]);
    }
    // Ascending keys are between the first and the last.
    sound = sound && falls == 0 && columns[begin] >= 0 && columns[end - 1] < keys;
  }
  return sound;
}

void check_graph(const EdgeList& graph, const AttentionShape& shape, const std::string& name,
                 Checker& checker) {
  const auto rows = static_cast<std::size_t>(shape.queries);
  const auto edges = static_cast<std::int64_t>(graph.columns.size());
  checker.expect(graph.row_offsets.size() == rows + 1, (name + ".row_offsets").c_str(),
                 std::to_string(rows + 1) + " elements", std::to_string(graph.row_offsets.size()));
  checker.expect(graph.gates.empty() || graph.gates.size() == graph.columns.size(),
                 (name + ".gates").c_str(), "none or " + std::to_string(edges) + " elements",
                 std::to_string(graph.gates.size()));
  if (!checker.ok()) return;
  checker.expect(graph.row_offsets.front() == 0 && graph.row_offsets.back() == edges,
                 (name + ".row_offsets").c_str(), "0 first and " + std::to_string(edges) + " last",
                 std::to_string(graph.row_offsets.front()) + " and " +
                     std::to_string(graph.row_offsets.back()));
  if (!checker.ok()) return;
  bool ascending = true;
  for (std::size_t i = 0; i < rows; ++i) {
    ascending = ascending && graph.row_offsets[i] <= graph.row_offsets[i + 1];
  }
  checker.expect(ascending, (name + ".row_offsets").c_str(), "ascending offsets",
                 "a row that ends before it starts");
  if (!checker.ok()) return;
  if (all_ascending(graph, shape.keys)) return;
  for (std::size_t i = 0; i < rows; ++i) {
    std::int64_t before = -1;
    for (std::int64_t edge = graph.row_offsets[i]; edge < graph.row_offsets[i + 1]; ++edge) {
      const std::int64_t column = graph.columns[static_cast<std::size_t>(edge)];
      if (column > before && column < shape.keys) {
        before = column;
        continue;
      }
      const std::string after = before < 0 ? "" : " after " + std::to_string(before);
      checker.expect(
          false, (name + ".columns").c_str(),
          "ascending keys below " + std::to_string(shape.keys) + " in row " + std::to_string(i),
          std::to_string(column) + after);
      return;
    }
  }
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
  const bool known =
      estimator.estimator == Estimator::kPaper || estimator.estimator == Estimator::kReference;
  checker.expect(known, "estimator", "PAPER or REFERENCE (TRAPEZOID has no CPU kernel yet)",
                 estimator.estimator == Estimator::kTrapezoid
                     ? "TRAPEZOID"
                     : std::to_string(static_cast<int>(estimator.estimator)));
  checker.expect(estimator.clip >= 0.0F, "clip", "0 or more", std::to_string(estimator.clip));
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
