#include "kernels/reference/attention_estimator.h"

#include <algorithm>
#include <cmath>

namespace sbm::kernels::reference {
namespace {

double dot(const Matrix& left, std::int64_t left_row, const Matrix& right, std::int64_t right_row) {
  double sum = 0;
  for (std::int64_t c = 0; c < left.columns(); ++c) sum += left(left_row, c) * right(right_row, c);
  return sum;
}

/// TRAPEZOID: half of what a linearised removal (of an edge) or addition (of a non-edge) promises,
/// over the probability of the cell's state; the second-order errors of the two halves cancel. In
/// the two cases where the output without the cell is 0, the difference is V_j itself.
double trapezoid(double score, double log_sum_exp, double weight, double gain, double value_gain,
                 std::int64_t degree, bool is_edge, double probability, double probe_rate) {
  if (is_edge) {
    const double q = std::max(probability, 1e-3);
    if (degree == 1) return 0.5 * value_gain / q;
    return 0.5 * weight * gain / (std::max(1 - weight, 0.1) * q);
  }
  const double rest = probe_rate * std::max(1 - probability, 0.05);
  if (degree == 0) return 0.5 * value_gain / rest;
  return 0.5 / (1 + std::exp(log_sum_exp - score)) * gain / rest;
}

}  // namespace

CellLaw cell_law(const Matrix& probability, double exploration, MaskLaw law, SelfLoops self_loops,
                 const std::vector<bool>& query_valid, const std::vector<bool>& key_valid) {
  CellLaw result{.probability = Matrix(probability.rows(), probability.columns()),
                 .gate = Matrix(probability.rows(), probability.columns())};
  for (std::int64_t i = 0; i < probability.rows(); ++i) {
    for (std::int64_t j = 0; j < probability.columns(); ++j) {
      const double rate = probability(i, j) + exploration;
      const double q = law == MaskLaw::kBernoulli ? std::min(1.0, rate) : -std::expm1(-rate);
      result.probability(i, j) = q;
      const bool padding = (!query_valid.empty() && !query_valid[static_cast<std::size_t>(i)]) ||
                           (!key_valid.empty() && !key_valid[static_cast<std::size_t>(j)]);
      const bool decided = i == j && self_loops != SelfLoops::kNone;
      if (padding || decided || rate >= 1) continue;
      result.gate(i, j) = law == MaskLaw::kBernoulli ? 1.0 : 1 - q;
    }
  }
  return result;
}

Matrix estimator_gradient(const AttentionInput& input, const AttentionResult& forward,
                          const Matrix& grad_output, const EstimatorInput& estimator) {
  const std::int64_t n = input.query.rows();
  const std::int64_t m = input.key.rows();
  Matrix gradient(n, m);
  for (std::int64_t i = 0; i < n; ++i) {
    const double output_gain = dot(grad_output, i, forward.output, i);
    for (std::int64_t j = 0; j < m; ++j) {
      const bool is_edge = input.mask(i, j) != 0;
      const bool is_probed = !estimator.probes.empty() && estimator.probes(i, j) != 0;
      const double value_gain = dot(grad_output, i, input.value, j);
      const double gain = value_gain - output_gain;  // dA_ij = dO_i . (V_j - O_i)
      const double weight = forward.dropped_weights(i, j);
      double g = 0;
      switch (estimator.estimator) {
        case Estimator::kPaper:
          if (is_edge) g = forward.scores(i, j) * weight * gain;
          break;
        case Estimator::kReference:
          if (is_edge) {
            g = std::clamp(weight * gain + estimator.density_gradient, -estimator.clip,
                           estimator.clip);
          }
          break;
        case Estimator::kTrapezoid:
          if (is_edge || is_probed) {
            g = trapezoid(forward.scores(i, j), forward.log_sum_exp[static_cast<std::size_t>(i)],
                          weight, gain, value_gain, forward.degree[static_cast<std::size_t>(i)],
                          is_edge, estimator.law.probability(i, j), estimator.probe_rate);
          }
          break;
      }
      gradient(i, j) = g * estimator.law.gate(i, j);
    }
  }
  return gradient;
}

MembershipGradient membership_gradient(const Matrix& gradient, const Matrix& query_membership,
                                       const Matrix& block_matrix, const Matrix& key_membership) {
  MembershipGradient result;
  result.query_product = product(gradient, key_membership);
  result.key_product = product(transposed(gradient), query_membership);
  result.query = product(result.query_product, transposed(block_matrix));
  result.block_matrix = product(transposed(query_membership), result.query_product);
  result.key = product(result.key_product, block_matrix);
  return result;
}

}  // namespace sbm::kernels::reference
