#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "cuda_host/attention_edges_problem.h"
#include "kernels/edge_list.h"
#include "kernels/reference/attention.h"
#include "kernels/reference/attention_estimator.h"

// What the edge-list kernels should have found, by the reference in double precision.
namespace sbm::cuda_host {

struct EdgeCaseSpec {
  std::int64_t batch = 1;
  std::int64_t heads = 1;
  std::int64_t queries = 1;
  std::int64_t keys = 1;
  std::int64_t head_dim = 32;
  std::int64_t clusters = 8;
  Precision precision = Precision::kFloat32;
  Estimator estimator = Estimator::kPaper;
  float clip = 1.0F;
  double probe_rate = 0.3;
  double dropout = 0.0;
  std::int64_t gap = 0;    ///< between rows, in elements; a multiple of 8
  bool score_nan = false;  ///< Q is full of NaN
  std::uint64_t seed = 1;

  [[nodiscard]] std::string name() const {
    return "batch " + std::to_string(batch) + " heads " + std::to_string(heads) + " n " +
           std::to_string(queries) + " m " + std::to_string(keys) + " d " +
           std::to_string(head_dim) + " k " + std::to_string(clusters) + " precision " +
           std::to_string(static_cast<int>(precision)) + " estimator " +
           std::to_string(static_cast<int>(estimator)) + " dropout " + std::to_string(dropout);
  }
};

/// The inputs of one graph, rounded as the kernels get them.
struct ReferenceHead {
  const EdgeCaseSpec& spec;
  const EdgeList& graph;
  Matrix query, key, value, grad_output, query_membership, key_membership;
  double scale;
  double density_gradient;
  PhiloxKey dropout_key;
};

/// What the kernels found for it.
struct FoundHead {
  Matrix output, grad_query, grad_key, grad_value, query_product, key_product, log_sum_exp;
};

/// Matrix `index` of an array of [rows, columns].
inline Matrix dense_matrix(const std::vector<float>& values, std::int64_t index, std::int64_t rows,
                           std::int64_t columns) {
  Matrix result(rows, columns);
  const auto first = static_cast<std::size_t>(index * rows * columns);
  for (std::size_t i = 0; i < result.values().size(); ++i) {
    result.values()[i] = static_cast<double>(values[first + i]);
  }
  return result;
}

/// Marks the cells of a graph in the reference's matrices.
inline void mark_cells(const EdgeCaseSpec& spec, const EdgeList& graph,
                       kernels::reference::AttentionInput& input,
                       kernels::reference::EstimatorInput& form) {
  for (std::int64_t i = 0; i < spec.queries; ++i) {
    const auto row = static_cast<std::size_t>(i);
    for (auto e = static_cast<std::size_t>(graph.row_offsets[row]);
         e < static_cast<std::size_t>(graph.row_offsets[row + 1]); ++e) {
      const std::int64_t j = graph.columns[e];
      input.mask(i, j) = 1;
      if (!graph.gates.empty()) {
        form.law.gate(i, j) = static_cast<double>(graph.gates[e]);
      } else if (graph.diagonal_forced && i == j) {
        form.law.gate(i, j) = 0;
      }
      if (!graph.probabilities.empty()) {
        form.law.probability(i, j) = static_cast<double>(graph.probabilities[e]);
      }
    }
    const kernels::ProbeList& probes = graph.probes;
    if (probes.row_offsets.empty()) continue;
    for (auto p = static_cast<std::size_t>(probes.row_offsets[row]);
         p < static_cast<std::size_t>(probes.row_offsets[row + 1]); ++p) {
      const std::int64_t j = probes.columns[p];
      form.probes(i, j) = 1;
      form.law.probability(i, j) = static_cast<double>(probes.probabilities[p]);
      if (!probes.gates.empty()) form.law.gate(i, j) = static_cast<double>(probes.gates[p]);
    }
  }
}

/// Adds to dQ and dK what comes of dO . `stored` instead of dO . O in the softmax's Jacobian.
inline void add_delta_change(const kernels::reference::AttentionInput& input,
                             const kernels::reference::AttentionResult& forward,
                             const Matrix& stored, const Matrix& grad_output,
                             kernels::reference::AttentionGradient& gradient) {
  Matrix change = forward.weights;
  for (std::int64_t i = 0; i < change.rows(); ++i) {
    double delta_change = 0.0;
    for (std::int64_t c = 0; c < stored.columns(); ++c) {
      delta_change += grad_output(i, c) * (forward.output(i, c) - stored(i, c));
    }
    for (std::int64_t j = 0; j < change.columns(); ++j) change(i, j) *= input.scale * delta_change;
  }
  const auto add = [](Matrix& to, const Matrix& other) {
    for (std::size_t i = 0; i < to.values().size(); ++i) to.values()[i] += other.values()[i];
  };
  add(gradient.query, product(change, input.key));
  add(gradient.key, product(transposed(change), input.query));
}

/// Fails the test where the kernels are too far from the reference.
inline void expect_near_reference_head(const ReferenceHead& head, const FoundHead& found) {
  const EdgeCaseSpec& spec = head.spec;
  kernels::reference::AttentionInput input{.query = head.query,
                                           .key = head.key,
                                           .value = head.value,
                                           .mask = Matrix(spec.queries, spec.keys),
                                           .scale = head.scale,
                                           .dropout_factor = {}};
  kernels::reference::EstimatorInput form;
  form.estimator = spec.estimator;
  form.clip = static_cast<double>(spec.clip);
  form.density_gradient = head.density_gradient;
  form.probe_rate = spec.probe_rate;
  form.probes = Matrix(spec.queries, spec.keys);
  form.law.gate = Matrix(spec.queries, spec.keys, 1.0);
  form.law.probability = Matrix(spec.queries, spec.keys, 0.5);
  mark_cells(spec, head.graph, input, form);
  if (spec.dropout > 0) {
    input.dropout_factor = kernels::reference::dropout_factors(spec.queries, spec.keys,
                                                               spec.dropout, head.dropout_key);
  }
  auto forward = kernels::reference::attention_forward(input);
  auto gradient = kernels::reference::attention_backward(input, forward, head.grad_output);

  // Elements of bf16 are off by up to 2^-9; everything else is float32.
  const double tolerance = spec.precision == Precision::kBfloat16 ? 2.5e-3 : 1e-5;
  constexpr double kProductTolerance = 1e-5;
  EXPECT_LE(relative_distance(found.output, forward.output), tolerance) << "output";
  // Backward is given the stored output: what its rounding changes of delta is no error of the
  // kernels.
  add_delta_change(input, forward, found.output, head.grad_output, gradient);
  forward.output = found.output;
  const Matrix cells =
      kernels::reference::estimator_gradient(input, forward, head.grad_output, form);
  EXPECT_LE(relative_distance(found.grad_query, gradient.query), tolerance) << "grad_query";
  EXPECT_LE(relative_distance(found.grad_key, gradient.key), tolerance) << "grad_key";
  EXPECT_LE(relative_distance(found.grad_value, gradient.value), tolerance) << "grad_value";
  EXPECT_LE(relative_distance(found.query_product, product(cells, head.key_membership)),
            kProductTolerance)
      << "query_product";
  EXPECT_LE(relative_distance(found.key_product, product(transposed(cells), head.query_membership)),
            kProductTolerance)
      << "key_product";
  for (std::int64_t i = 0; i < spec.queries; ++i) {
    const double expected = forward.log_sum_exp[static_cast<std::size_t>(i)];
    if (std::isinf(expected)) {
      EXPECT_EQ(found.log_sum_exp(i, 0), expected) << "log_sum_exp of row " << i;
    } else {
      EXPECT_NEAR(found.log_sum_exp(i, 0), expected, 2e-6 * std::max(1.0, std::abs(expected)));
    }
  }
}

}  // namespace sbm::cuda_host
