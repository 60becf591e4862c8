#include "kernels/reference/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "kernels/attention_dropout.h"

namespace sbm::kernels::reference {
namespace {

void expect_size(const Matrix& matrix, std::int64_t rows, std::int64_t columns, const char* name) {
  if (matrix.rows() == rows && matrix.columns() == columns) return;
  throw InternalError("reference attention: expected " + std::string(name) + " [" +
                      std::to_string(rows) + ", " + std::to_string(columns) + "], found [" +
                      std::to_string(matrix.rows()) + ", " + std::to_string(matrix.columns()) +
                      "]");
}

void check(const AttentionInput& input) {
  const std::int64_t n = input.query.rows();
  const std::int64_t m = input.key.rows();
  const std::int64_t d = input.query.columns();
  expect_size(input.key, m, d, "key");
  expect_size(input.value, m, d, "value");
  expect_size(input.mask, n, m, "mask");
  if (!input.dropout_factor.empty()) expect_size(input.dropout_factor, n, m, "dropout_factor");
}

}  // namespace

AttentionResult attention_forward(const AttentionInput& input) {
  check(input);
  const std::int64_t n = input.query.rows();
  const std::int64_t m = input.key.rows();
  AttentionResult result;
  result.scores = product(input.query, transposed(input.key));
  for (double& score : result.scores.values()) score *= input.scale;
  result.weights = Matrix(n, m);
  result.log_sum_exp.assign(static_cast<std::size_t>(n), -std::numeric_limits<double>::infinity());
  result.degree.assign(static_cast<std::size_t>(n), 0);

  for (std::int64_t i = 0; i < n; ++i) {
    double maximum = -std::numeric_limits<double>::infinity();
    for (std::int64_t j = 0; j < m; ++j) {
      if (input.mask(i, j) == 0) continue;
      maximum = std::max(maximum, result.scores(i, j));
      ++result.degree[static_cast<std::size_t>(i)];
    }
    if (result.degree[static_cast<std::size_t>(i)] == 0) continue;
    double sum = 0;
    for (std::int64_t j = 0; j < m; ++j) {
      if (input.mask(i, j) == 0) continue;
      result.weights(i, j) = std::exp(result.scores(i, j) - maximum);
      sum += result.weights(i, j);
    }
    for (std::int64_t j = 0; j < m; ++j) result.weights(i, j) /= sum;
    result.log_sum_exp[static_cast<std::size_t>(i)] = maximum + std::log(sum);
  }

  result.dropped_weights = result.weights;
  if (!input.dropout_factor.empty()) {
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < m; ++j) {
        result.dropped_weights(i, j) *= input.dropout_factor(i, j);
      }
    }
  }
  result.output = product(result.dropped_weights, input.value);
  return result;
}

AttentionGradient attention_backward(const AttentionInput& input, const AttentionResult& forward,
                                     const Matrix& grad_output) {
  check(input);
  const std::int64_t n = input.query.rows();
  const std::int64_t m = input.key.rows();
  expect_size(grad_output, n, input.value.columns(), "grad_output");
  AttentionGradient gradient;
  gradient.value = product(transposed(forward.dropped_weights), grad_output);

  // The softmax's Jacobian: ds_ij = w_ij (dL/dw_ij - sum_l w_il dL/dw_il).
  const Matrix grad_dropped = product(grad_output, transposed(input.value));
  Matrix grad_scores(n, m);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto grad_weight = [&](std::int64_t j) {
      const double factor = input.dropout_factor.empty() ? 1.0 : input.dropout_factor(i, j);
      return factor * grad_dropped(i, j);
    };
    double mean = 0;
    for (std::int64_t j = 0; j < m; ++j) mean += forward.weights(i, j) * grad_weight(j);
    for (std::int64_t j = 0; j < m; ++j) {
      grad_scores(i, j) = input.scale * forward.weights(i, j) * (grad_weight(j) - mean);
    }
  }
  gradient.query = product(grad_scores, input.key);
  gradient.key = product(transposed(grad_scores), input.query);
  return gradient;
}

Matrix dropout_factors(std::int64_t queries, std::int64_t keys, double probability, PhiloxKey key) {
  const std::uint32_t threshold = attention_dropout_threshold(probability);
  Matrix factors(queries, keys);
  for (std::int64_t i = 0; i < queries; ++i) {
    for (std::int64_t j = 0; j < keys; ++j) {
      const bool keeps = attention_dropout_keeps(key, static_cast<std::uint32_t>(i),
                                                 static_cast<std::uint32_t>(j), threshold);
      factors(i, j) = keeps ? attention_dropout_scale(threshold) : 0.0;
    }
  }
  return factors;
}

}  // namespace sbm::kernels::reference
