#pragma once

#include <cstdint>

#include "base/philox.h"

// The vocabulary of SBM attention that every device shares (design, section 3.1).
namespace sbm::kernels {

/// The gradient G_ij that a sampled edge passes on to its probability.
enum class Estimator : std::int32_t {
  kPaper,      ///< s_ij ds_ij on edges
  kReference,  ///< clip(ds_ij + c_h) on edges
  kTrapezoid,  ///< two-sided: edges and probed non-edges (reference table in the design)
};

/// How the edges of a head are gone along; the same sums in another order.
enum class AttentionPath : std::int32_t {
  kAuto,    ///< dense or sparse for each head, by its density and a constant of the device
  kDense,   ///< whole tiles of cells, the others masked away
  kSparse,  ///< edge after edge
};

/// A [batch, heads, tokens, features] tensor of float whose last dimension is contiguous. Strides
/// are in elements, so a projection's [batch, tokens, heads, features] output needs no transpose.
template <typename T>
struct HeadTensor {
  T* data = nullptr;
  std::int64_t batch_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t token_stride = 0;

  [[nodiscard]] T* row(std::int64_t batch, std::int64_t head, std::int64_t token) const {
    return data + batch * batch_stride + head * head_stride + token * token_stride;
  }
};

/// Sizes and constants of one attention call.
struct AttentionShape {
  std::int64_t batch = 0;
  std::int64_t heads = 0;
  std::int64_t queries = 0;   ///< n
  std::int64_t keys = 0;      ///< m
  std::int64_t head_dim = 0;  ///< d
  std::int64_t clusters = 0;  ///< k
  float scale = 0.0F;         ///< scores are scale * Q K^T; 1 / sqrt(d) in the model
  AttentionPath path = AttentionPath::kAuto;
  /// Share of edges among the cells from which kAuto goes by tiles; 0: the device's own constant.
  double dense_from = 0.0;

  /// Probability that an edge's weight is dropped after the softmax, rounded to 1/65536; keyed and
  /// drawn on edges only. 0: no dropout.
  double dropout = 0.0;
  const PhiloxKey* dropout_keys = nullptr;  ///< [batch, heads], needed when dropout > 0
};

/// How probabilities learn.
struct EstimatorParams {
  Estimator estimator = Estimator::kPaper;
  float clip = 1.0F;                        ///< REFERENCE clips to [-clip, clip]; infinity: no clip
  const float* density_gradient = nullptr;  ///< c_h [heads], REFERENCE only; null: 0
  double probe_rate = 0.0;                  ///< r of TRAPEZOID
};

}  // namespace sbm::kernels
