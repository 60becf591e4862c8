#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/attention.h"
#include "kernels/reference/attention.h"
#include "kernels/sampling.h"

// How the probabilities of a head learn, in double precision on dense matrices: the estimators of
// the design's table (section 3.1) and the chain rule to the memberships.
namespace sbm::kernels::reference {

/// With which probability each cell was drawn, and what of dL/dq reaches P.
struct CellLaw {
  Matrix probability;  ///< q [n, m]: min(1, P + delta), under POISSON 1 - exp(-(P + delta))
  /// [n, m]: dq/dP, 1 under BERNOULLI and 1 - q under POISSON; 0 on padding, on a diagonal that was
  /// forced or removed, and where P + delta >= 1.
  Matrix gate;
};

/// `probability` is P [n, m]. `query_valid` [n] and `key_valid` [m] are 0 on padding; empty: all
/// valid.
[[nodiscard]] CellLaw cell_law(const Matrix& probability, double exploration, MaskLaw law,
                               SelfLoops self_loops, const std::vector<bool>& query_valid = {},
                               const std::vector<bool>& key_valid = {});

struct EstimatorInput {
  Estimator estimator = Estimator::kPaper;
  double clip = std::numeric_limits<double>::infinity();  ///< REFERENCE clips to [-clip, clip]
  double density_gradient = 0.0;                          ///< c_h of REFERENCE
  double probe_rate = 1.0;                                ///< r of TRAPEZOID
  Matrix probes;  ///< [n, m], which cells TRAPEZOID looks at; empty: no cell
  CellLaw law;
};

/// G [n, m]: what each cell passes on to its P, for the loss sum(grad_output * O).
[[nodiscard]] Matrix estimator_gradient(const AttentionInput& input, const AttentionResult& forward,
                                        const Matrix& grad_output, const EstimatorInput& estimator);

/// Gradients of sum(G * P) for P = Qhat S Khat^T, with the products that the kernels return.
struct MembershipGradient {
  Matrix query_product;  ///< T = G Khat [n, k]
  Matrix key_product;    ///< R = G^T Qhat [m, k]
  Matrix query;          ///< dQhat = T S^T [n, k]
  Matrix block_matrix;   ///< dS = Qhat^T T [k, k]
  Matrix key;            ///< dKhat = R S [m, k]
};

[[nodiscard]] MembershipGradient membership_gradient(const Matrix& gradient,
                                                     const Matrix& query_membership,
                                                     const Matrix& block_matrix,
                                                     const Matrix& key_membership);

}  // namespace sbm::kernels::reference
