#pragma once

#include <cstdint>
#include <vector>

#include "base/philox.h"
#include "kernels/reference/attention_matrix.h"

// Masked attention of one head in double precision on dense masks, written to be read: the referee
// of every faster kernel (design, section 3.1).
namespace sbm::kernels::reference {

/// One head: queries [n, d], keys [m, d], values [m, d] and which of its n x m cells are edges.
struct AttentionInput {
  Matrix query;
  Matrix key;
  Matrix value;
  Matrix mask;         ///< A [n, m], entries 0 or 1; padding has no edges
  double scale = 1.0;  ///< scores are scale * Q K^T
  /// [n, m]: what attention dropout multiplies a weight with, 0 or 1 / (1 - p). Empty: no dropout.
  Matrix dropout_factor;
};

/// What the forward computes. All [n, m] matrices are 0 outside of the mask, except `scores`.
struct AttentionResult {
  Matrix scores;                     ///< s = scale * Q K^T, every cell
  Matrix weights;                    ///< softmax of s over the edges of each row
  Matrix dropped_weights;            ///< `weights` after dropout; they multiply V
  Matrix output;                     ///< O [n, d]; 0 for a row without edges
  std::vector<double> log_sum_exp;   ///< [n]; -infinity for a row without edges
  std::vector<std::int64_t> degree;  ///< [n]: edges of the row
};

/// Throws InternalError when the sizes of the matrices contradict one another.
[[nodiscard]] AttentionResult attention_forward(const AttentionInput& input);

struct AttentionGradient {
  Matrix query;
  Matrix key;
  Matrix value;
};

/// The gradient of sum(grad_output * O) with respect to Q, K and V; the mask is a constant.
[[nodiscard]] AttentionGradient attention_backward(const AttentionInput& input,
                                                   const AttentionResult& forward,
                                                   const Matrix& grad_output);

/// The factors of kernels/attention_dropout.h for every cell of an n x m head.
[[nodiscard]] Matrix dropout_factors(std::int64_t queries, std::int64_t keys, double probability,
                                     PhiloxKey key);

}  // namespace sbm::kernels::reference
