#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <span>

#include "kernels/attention_dropout.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/scratch.h"

// What the SIMD code of the edge-list attention is called with: one head, its rows padded.
namespace sbm::kernels::cpu {

/// Rows that a kernel writes.
struct HeadRows {
  float* data = nullptr;
  std::int64_t stride = 0;

  [[nodiscard]] float* operator[](std::int64_t row) const { return data + row * stride; }
};

/// What forward and backward know of a (sample, head).
struct AttentionHead {
  const EdgeList* graph = nullptr;
  std::int64_t keys = 0;
  bool is_dense = false;  ///< which path it takes
  std::int64_t head_dim = 0;
  std::int64_t padded_dim = 0;  ///< head_dim rounded up to whole vectors
  float scale = 0.0F;
  std::uint32_t dropout_threshold = 0;  ///< 0: no dropout
  PhiloxKey dropout_key = 0;
  Rows key;  ///< padded_dim wide, as value
  Rows value;
};

struct ForwardHead : AttentionHead {
  Rows query;  ///< head_dim wide
  HeadRows output;
  float* log_sum_exp = nullptr;
};

struct BackwardHead : AttentionHead {
  EstimatorParams estimator;
  CellRows cells;                 ///< of this pass
  float density_gradient = 0.0F;  ///< c_h of this head
  std::int64_t clusters = 0;
  std::int64_t padded_clusters = 0;
  Rows query;   ///< padded_dim wide, as grad_output
  Rows output;  ///< head_dim wide
  Rows grad_output;
  const float* log_sum_exp = nullptr;
  Rows query_membership;  ///< padded_clusters wide, as key_membership
  Rows key_membership;
  bool bf16_memberships = false;  ///< then the rows above are null, else those below
  HalfRows query_membership_bf16;
  HalfRows key_membership_bf16;

  HeadRows grad_query;  ///< head_dim wide, as grad_key and grad_value
  HeadRows grad_key;
  HeadRows grad_value;
  HeadRows query_product;  ///< clusters wide, as key_product
  HeadRows key_product;
};

/// Whether one head after the other is split over the threads, for want of heads. Results do not
/// depend on it.
[[nodiscard]] inline bool splits_heads(std::int64_t heads, const Executor& executor) {
  return executor.concurrency() > 1 && heads < 4 * std::int64_t{executor.concurrency()};
}

/// The longest row of any graph, of its edges or of its probes.
[[nodiscard]] inline std::int64_t longest_row(std::span<const EdgeList> graphs) {
  std::int64_t longest = 0;
  for (const EdgeList& graph : graphs) {
    for (const std::vector<std::int64_t>* offsets :
         {&graph.row_offsets, &graph.probes.row_offsets}) {
      for (std::size_t i = 1; i < offsets->size(); ++i) {
        longest = std::max(longest, (*offsets)[i] - (*offsets)[i - 1]);
      }
    }
  }
  return longest;
}

[[nodiscard]] inline Rows head_rows(const HeadTensor<const float>& tensor, std::int64_t batch,
                                    std::int64_t head) {
  return {tensor.row(batch, head, 0), tensor.token_stride};
}

[[nodiscard]] inline HeadRows head_rows(const HeadTensor<float>& tensor, std::int64_t batch,
                                        std::int64_t head) {
  return {tensor.row(batch, head, 0), tensor.token_stride};
}

/// AUTO takes the dense path from this share of edges among the cells on. Forward and backward of
/// 2,048 tokens and heads of 32 became as fast in tiles as along the edges at 0.70 (32 clusters)
/// and 0.63 (128) with AVX-512 on Zen 4.
inline constexpr double kDenseFrom = 0.65;

[[nodiscard]] inline bool takes_dense_path(const AttentionShape& shape, const EdgeList& graph) {
  if (shape.path != AttentionPath::kAuto) return shape.path == AttentionPath::kDense;
  const double cells = static_cast<double>(shape.queries) * static_cast<double>(shape.keys);
  const double dense_from = shape.dense_from > 0.0 ? shape.dense_from : kDenseFrom;
  return static_cast<double>(graph.columns.size()) > dense_from * cells;
}

/// Rounding a token's memberships costs about as much as it saves along so many edges (64 to 128
/// clusters, AVX-512 BF16 on Zen 4).
inline constexpr std::int64_t kBf16EdgesPerToken = 32;

[[nodiscard]] inline bool gains_by_bf16(const AttentionShape& shape, const EdgeList& graph) {
  return std::ssize(graph.columns) >= kBf16EdgesPerToken * std::max(shape.queries, shape.keys);
}

/// The part of head `index` = batch * heads + head that needs no padding.
inline void describe_head(const AttentionShape& shape, std::span<const EdgeList> graphs,
                          std::int64_t index, AttentionHead& head) {
  head.graph = &graphs[static_cast<std::size_t>(index)];
  head.keys = shape.keys;
  head.is_dense = takes_dense_path(shape, *head.graph);
  head.head_dim = shape.head_dim;
  head.scale = shape.scale;
  head.dropout_threshold = attention_dropout_threshold(shape.dropout);
  if (head.dropout_threshold > 0) head.dropout_key = shape.dropout_keys[index];
}

}  // namespace sbm::kernels::cpu
