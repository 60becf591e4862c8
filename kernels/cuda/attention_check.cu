#include "kernels/cuda/attention_check.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "kernels/attention_dropout.h"

namespace sbm::kernels::cuda {
namespace {

constexpr std::int64_t kMostTokens = 65536;  // their numbers are 16-bit in the lists
constexpr std::int64_t kMost32Bits = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kRowAlignment = 16;  // bytes, what a lane loads at once

/// Collects the first problem of a call.
class Checker {
 public:
  explicit Checker(const char* function) : function_(function) {}

  void expect(bool condition, const std::string& what, const std::string& expected,
              const std::string& found) {
    if (condition || !status_.ok()) return;
    status_ = Status::invalid(std::string(function_) + ": " + what + ": expected " + expected +
                              ", found " + found);
  }
  void range(std::int64_t value, std::int64_t low, std::int64_t high, const std::string& what) {
    expect(value >= low && value <= high, what, std::to_string(low) + " to " + std::to_string(high),
           std::to_string(value));
  }
  void pointer(const void* data, bool needed, const std::string& what) {
    expect(data != nullptr || !needed, what, "a pointer", "null");
  }
  void aligned(const void* data, const std::string& what) {
    const auto beyond = reinterpret_cast<std::uintptr_t>(data) % kRowAlignment;
    expect(beyond == 0, what, "an address that is a multiple of 16",
           std::to_string(beyond) + " beyond one");
  }

  [[nodiscard]] bool ok() const { return status_.ok(); }
  [[nodiscard]] Status status() const { return status_; }

 private:
  const char* function_;
  Status status_;
};

void check_shape(const AttentionShape& shape, Precision precision, Checker& checker) {
  checker.range(shape.batch, 0, kMost32Bits, "batch");
  checker.range(shape.heads, 0, kMost32Bits, "heads");
  checker.range(shape.queries, 0, kMostTokens, "queries");
  checker.range(shape.keys, 0, kMostTokens, "keys");
  checker.expect(shape.head_dim == 32 || shape.head_dim == 64 || shape.head_dim == 128, "head_dim",
                 "32, 64 or 128", std::to_string(shape.head_dim));
  checker.expect(std::isfinite(shape.scale), "scale", "a finite number",
                 std::to_string(shape.scale));
  checker.range(static_cast<std::int64_t>(precision), 0,
                static_cast<std::int64_t>(Precision::kBfloat16), "precision");
  const bool dropout_fits = shape.dropout >= 0.0 && shape.dropout < 1.0 &&
                            attention_dropout_threshold(shape.dropout) < 65536;
  checker.expect(dropout_fits, "dropout", "0 or more and, rounded to 1/65536, less than 1",
                 std::to_string(shape.dropout));
  if (!checker.ok()) return;
  // Kernels number graphs, and the pieces of 32 tokens that they are cut into, in 32 bits.
  checker.range(shape.batch * shape.heads, 0, kMost32Bits / (kMostTokens / 32), "batch x heads");
  checker.pointer(shape.dropout_keys, shape.dropout > 0.0 && shape.batch * shape.heads > 0,
                  "dropout_keys");
}

template <typename Tensor>
void check_tensor(const Tensor& tensor, std::int64_t tokens, const AttentionShape& shape,
                  Precision precision, const std::string& name, Checker& checker) {
  if (shape.batch * shape.heads * tokens == 0) return;
  checker.pointer(tensor.data, true, name);
  checker.aligned(tensor.data, name);
  const std::int64_t elements = kRowAlignment / (precision == Precision::kBfloat16 ? 2 : 4);
  const auto check_stride = [&](std::int64_t stride, const char* which) {
    checker.expect(stride % elements == 0, name + which,
                   "a multiple of " + std::to_string(elements), std::to_string(stride));
  };
  check_stride(tensor.batch_stride, ".batch_stride");
  check_stride(tensor.head_stride, ".head_stride");
  check_stride(tensor.token_stride, ".token_stride");
  checker.range(tensor.token_stride, -kMost32Bits, kMost32Bits, name + ".token_stride");
}

/// An array that kernels load 16 bytes at a time.
void check_rows(const void* data, bool needed, const std::string& what, Checker& checker) {
  checker.pointer(data, needed, what);
  checker.aligned(data, what);
}

void check_work(const WorkList& work, const std::string& name, Checker& checker) {
  checker.pointer(work.count, work.graphs != nullptr, name + ".work.count");
}

void check_cells(const CellList& cells, const std::string& name, Checker& checker) {
  checker.pointer(cells.offsets, true, name + ".offsets");
  checker.range(cells.capacity, 0, std::numeric_limits<std::uint32_t>::max(), name + ".capacity");
  checker.pointer(cells.others, cells.capacity > 0, name + ".others");
}

/// Without gates, POISSON's factor and the closing of saturated cells would be missing on this path
/// alone.
void check_graded_cells(const CellList& cells, bool probabilities, const std::string& name,
                        Checker& checker) {
  check_cells(cells, name, checker);
  checker.pointer(cells.gates, cells.capacity > 0, name + ".gates");
  checker.pointer(cells.probabilities, probabilities && cells.capacity > 0,
                  name + ".probabilities (TRAPEZOID needs q)");
}

/// What forward and backward share.
template <typename Params>
void check_inputs(const Params& params, Checker& checker) {
  const AttentionShape& shape = params.shape;
  check_shape(shape, params.precision, checker);
  if (!checker.ok()) return;
  const std::int64_t graphs = shape.batch * shape.heads;
  checker.expect(
      graphs == 0 || params.edges.work.graphs != nullptr || params.dense.work.graphs != nullptr,
      "edges.work and dense.work", "one of them at least", "null");
  check_work(params.edges.work, "edges", checker);
  check_work(params.dense.work, "dense", checker);
  if (params.edges.work.graphs != nullptr) {
    check_cells(params.edges.rows, "edges.rows", checker);
  }
  check_rows(params.dense.mask,
             params.dense.work.graphs != nullptr && graphs * shape.queries * shape.keys > 0,
             "dense.mask", checker);
  check_tensor(params.query, shape.queries, shape, params.precision, "query", checker);
  check_tensor(params.key, shape.keys, shape, params.precision, "key", checker);
  check_tensor(params.value, shape.keys, shape, params.precision, "value", checker);
  check_tensor(params.output, shape.queries, shape, params.precision, "output", checker);
  checker.pointer(params.log_sum_exp, graphs * shape.queries > 0, "log_sum_exp");
}

void check_estimator(const BackwardParams& params, Checker& checker) {
  const EstimatorParams& estimator = params.estimator;
  checker.range(static_cast<std::int64_t>(estimator.estimator), 0,
                static_cast<std::int64_t>(Estimator::kTrapezoid), "estimator");
  checker.expect(estimator.clip >= 0.0F, "clip", "0 or more", std::to_string(estimator.clip));
  checker.expect(estimator.probe_rate >= 0.0 && estimator.probe_rate <= 1.0, "probe_rate", "0 to 1",
                 std::to_string(estimator.probe_rate));
}

/// The lists of the edge-list path's backward.
void check_lists(const BackwardParams& params, Checker& checker) {
  const EdgeGraphs& edges = params.edges;
  if (edges.work.graphs == nullptr) return;
  const bool is_trapezoid = params.estimator.estimator == Estimator::kTrapezoid;
  check_graded_cells(edges.rows, is_trapezoid, "edges.rows", checker);
  check_graded_cells(edges.columns, is_trapezoid, "edges.columns", checker);
  if (!is_trapezoid) return;
  if (edges.probe_rows.offsets == nullptr && edges.probe_columns.offsets == nullptr) return;
  check_graded_cells(edges.probe_rows, true, "edges.probe_rows", checker);
  check_graded_cells(edges.probe_columns, true, "edges.probe_columns", checker);
  checker.expect(params.estimator.probe_rate > 0.0, "probe_rate",
                 "more than 0 where there are probes", "0");
}

/// What the dense-masked path's backward needs besides its mask.
void check_dense(const BackwardParams& params, Checker& checker) {
  const DenseGraphs& dense = params.dense;
  const AttentionShape& shape = params.shape;
  if (dense.work.graphs == nullptr) return;
  // One side alone is packed and looked through, too.
  const std::int64_t graphs = shape.batch * shape.heads;
  const bool has_queries = graphs * shape.queries > 0;
  const bool has_keys = graphs * shape.keys > 0;
  check_rows(params.dense_workspace, has_queries || has_keys, "dense_workspace", checker);
  check_rows(dense.law.weights, has_queries, "dense.law.weights", checker);
  checker.pointer(dense.law.row_exponents, has_queries, "dense.law.row_exponents");
  check_rows(dense.law.key_entries, has_keys, "dense.law.key_entries", checker);
  checker.pointer(dense.law.key_exponents, has_keys, "dense.law.key_exponents");
  if (params.estimator.estimator != Estimator::kTrapezoid) return;
  const double rate = params.estimator.probe_rate;
  check_rows(dense.probe_mask, has_queries && has_keys && rate > 0.0 && rate < 1.0,
             "dense.probe_mask", checker);
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
  check_estimator(params, checker);
  if (!checker.ok()) return checker.status();
  check_lists(params, checker);
  check_dense(params, checker);

  check_tensor(params.grad_output, shape.queries, shape, params.precision, "grad_output", checker);
  check_tensor(params.grad_query, shape.queries, shape, params.precision, "grad_query", checker);
  check_tensor(params.grad_key, shape.keys, shape, params.precision, "grad_key", checker);
  check_tensor(params.grad_value, shape.keys, shape, params.precision, "grad_value", checker);
  const bool has_queries = shape.batch * shape.heads * shape.queries > 0;
  const bool has_keys = shape.batch * shape.heads * shape.keys > 0;
  checker.pointer(params.delta, has_queries, "delta");
  const auto check_features = [&](const float* data, bool needed, const char* name) {
    checker.pointer(data, needed, name);
    checker.aligned(data, name);
  };
  check_features(params.query_membership, has_queries, "query_membership");
  check_features(params.key_membership, has_keys, "key_membership");
  check_features(params.query_product, has_queries, "query_product");
  check_features(params.key_product, has_keys, "key_product");
  return checker.status();
}

}  // namespace sbm::kernels::cuda
