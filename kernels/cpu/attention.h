#pragma once

#include <cstdint>
#include <span>

#include "kernels/attention.h"
#include "kernels/edge_list.h"
#include "kernels/executor.h"
#include "kernels/status.h"

namespace sbm::kernels::cpu {

// On the dense path every token's query, key, value and gradient must be finite, those of padding
// too: a weight of 0 still multiplies. Its memory beyond the outputs is 16 bytes for each row and
// 64 keys, the keys and values packed, and 48 rows of scores a thread.

/// Forward attention along the edges of `graphs` ([batch, heads]). A row without edges gives output
/// 0 and log-sum-exp -infinity.
struct ForwardParams {
  AttentionShape shape;
  HeadTensor<const float> query;  ///< [batch, heads, queries, head_dim]
  HeadTensor<const float> key;    ///< [batch, heads, keys, head_dim]
  HeadTensor<const float> value;  ///< [batch, heads, keys, head_dim]
  std::span<const EdgeList> graphs;

  HeadTensor<float> output;      ///< [batch, heads, queries, head_dim]; written whole
  float* log_sum_exp = nullptr;  ///< [batch, heads, queries]; written whole
};

/// Backward of the same call. Every output element has one owner and no atomics, so equal inputs
/// give equal bits for any executor. Outputs are written whole, not added to.
struct BackwardParams {
  AttentionShape shape;
  EstimatorParams estimator;
  HeadTensor<const float> query;
  HeadTensor<const float> key;
  HeadTensor<const float> value;
  std::span<const EdgeList> graphs;
  HeadTensor<const float> output;
  const float* log_sum_exp = nullptr;
  HeadTensor<const float> grad_output;
  const float* query_membership = nullptr;  ///< Qhat [batch, heads, queries, clusters]
  const float* key_membership = nullptr;    ///< Khat [batch, heads, keys, clusters]
  /// Along the edges, T and R sum products of G and memberships that are both rounded to bfloat16
  /// (nearest, ties to even), in float: T and R of random numbers are then within 4e-3 of their
  /// norm. Heads on the dense path and heads of less than 32 edges a token stay in float.
  bool bf16_memberships = false;

  HeadTensor<float> grad_query;
  HeadTensor<float> grad_key;
  HeadTensor<float> grad_value;
  float* query_product = nullptr;  ///< T = G Khat [batch, heads, queries, clusters]
  float* key_product = nullptr;    ///< R = G^T Qhat [batch, heads, keys, clusters]
};

/// Refuse parameters that contradict one another. Memory beyond the outputs is linear in the edges
/// of a head for each thread; rows that are not whole vectors wide are copied, one head a thread.
Status attention_forward(const ForwardParams& params, Executor& executor);
Status attention_backward(const BackwardParams& params, Executor& executor);

}  // namespace sbm::kernels::cpu
