#pragma once

#include <cstdint>

#include "kernels/executor.h"
#include "kernels/status.h"

namespace sbm::kernels::cpu {

/// From T = G Khat and R = G^T Qhat, which attention_backward() leaves, to the gradients of the
/// memberships and of the block matrix (design, section 3.1). All arrays are dense and row-major.
struct MembershipGradientParams {
  std::int64_t batch = 0;
  std::int64_t heads = 0;
  std::int64_t queries = 0;
  std::int64_t keys = 0;
  std::int64_t clusters = 0;  ///< k, 1 to 256

  const float* query_membership = nullptr;  ///< Qhat [batch, heads, queries, clusters]
  const float* block_matrix = nullptr;      ///< S [heads, clusters, clusters]
  float* query_product = nullptr;           ///< [batch, heads, queries, clusters]: in T, out T S^T
  float* key_product = nullptr;             ///< [batch, heads, keys, clusters]: in R, out R S
  /// [heads, clusters, clusters]: out Qhat^T T, summed over the batch; written whole
  float* block_gradient = nullptr;
  /// Round the factors to bfloat16 (nearest, ties to even) and sum their products in float: the
  /// gradients of random numbers are then within 5e-3 of their norm.
  bool bf16 = false;
};

/// dQhat = T S^T, dKhat = R S, dS = Qhat^T T. Every element has one owner and its sum an order that
/// follows from the shape, so the bits do not depend on the executor. Memory beyond the outputs is
/// O(clusters^2) a head and O(clusters) a thread.
Status membership_gradients(const MembershipGradientParams& params, Executor& executor);

}  // namespace sbm::kernels::cpu
