#pragma once

#include <cstdint>

#include "kernels/cuda/attention.h"
#include "kernels/cuda/attention_dense_copy.cuh"
#include "kernels/cuda/attention_dense_product.cuh"
#include "kernels/cuda/attention_dense_workspace.h"
#include "kernels/cuda/attention_dropout.cuh"
#include "kernels/cuda/attention_estimator.cuh"
#include "kernels/cuda/mask_layout.h"

// How the two passes of the dense-masked backward are cut, for every precision and head size.
namespace sbm::kernels::cuda::dense {

/// Whose gradients a pass computes: each block owns rows (dQ, T) or keys (dK, dV, R).
enum class Side { kRows, kKeys };

/// The two common estimators have instances of their own under BERNOULLI, where a gate is a bit.
/// What needs q of each cell, TRAPEZOID and everything under POISSON, chooses while it runs.
enum class Form { kPaper, kReference, kGeneral };

/// The parameters of a call and what follows from them.
struct BackwardCall {
  BackwardParams params;
  Workspace workspace;
  float score_scale = 0.0F;  ///< scale / ln 2: scores are exponents of 2
  DropoutRule dropout;
  EstimatorRule estimator;
  std::uint32_t exploration = 0;  ///< in units of 2^-32
  bool every_cell_probed = false;
  int first_cluster = 0;  ///< T and R of clusters [first_cluster, first_cluster + kClusters)
  /// Whether dQ, dK and dV are written too: by the launch of the first clusters.
  bool writes_gradients = true;
};

template <class E, int HeadDim, int Clusters, Side PassSide, Form EstimatorForm>
struct BackwardTraits {
  using Element = E;
  static constexpr bool kIsBfloat16 = sizeof(E) == 2;
  static constexpr int kHeadDim = HeadDim;
  static constexpr int kClusters = Clusters;  ///< of T or R that a launch computes
  static constexpr bool kOwnsRows = PassSide == Side::kRows;
  static constexpr Form kForm = EstimatorForm;
  static constexpr bool kIsGeneral = EstimatorForm == Form::kGeneral;

  static constexpr int kTile = kMaskTile;  ///< tokens of the other side at a time
  /// Two strips share what they load of the other side, where their sums fit the registers.
  static constexpr int kStrips =
      kIsBfloat16 && HeadDim == 32 && Clusters == 32 && kOwnsRows ? 2 : 1;
  static constexpr int kWarps = kIsBfloat16 && kStrips == 1 ? 8 : 4;
  static constexpr int kThreads = 32 * kWarps;
  static constexpr int kWarpTokens = 16 * kStrips;
  static constexpr int kOwn = kWarpTokens * kWarps;
  /// Cells of a row that are worked on at once: registers beside the sums.
  static constexpr int kChunk = !kIsBfloat16 && HeadDim == 128 && !kOwnsRows ? 8 : 16;
  static constexpr int kStages = kIsBfloat16 || HeadDim < 128 ? 2 : 1;

  static constexpr int kStride = row_stride<E>(HeadDim);
  static constexpr int kClusterStride = row_stride<E>(Clusters);
  static constexpr int kMaskTiles = kOwn / kMaskTile;
  static constexpr int kOwnBytes = kOwn * kStride * static_cast<int>(sizeof(E));
  static constexpr int kTileBytes = kTile * kStride * static_cast<int>(sizeof(E));
  static constexpr int kClusterBytes = kTile * kClusterStride * static_cast<int>(sizeof(E));
  static constexpr int kMaskBytes = kMaskTiles * kMaskTile * 8;
  static constexpr int kProbeBytes = kIsGeneral ? kMaskBytes : 0;
  static constexpr int kRowValueBytes = kOwnsRows ? 0 : kTile * static_cast<int>(sizeof(RowValues));
  static constexpr int kStageBytes =
      2 * kTileBytes + kClusterBytes + kMaskBytes + kProbeBytes + kRowValueBytes;
  static constexpr int kSharedBytes = 2 * kOwnBytes + kStages * kStageBytes;
};

/// Where a block's tiles lie in shared memory: two of its own tokens (Q and dO, or K and V), and
/// for each stage the same two of the other side, its memberships, mask, probes and row values.
template <class Traits>
struct BackwardShared {
  using Element = typename Traits::Element;
  unsigned char* bytes;

  __device__ __forceinline__ Element* own(int which) const {
    return reinterpret_cast<Element*>(bytes + which * Traits::kOwnBytes);
  }
  __device__ __forceinline__ unsigned char* stage(int tile) const {
    return bytes + 2 * Traits::kOwnBytes + tile % Traits::kStages * Traits::kStageBytes;
  }
  __device__ __forceinline__ Element* other(int tile, int which) const {
    return reinterpret_cast<Element*>(stage(tile) + which * Traits::kTileBytes);
  }
  __device__ __forceinline__ Element* membership(int tile) const {
    return reinterpret_cast<Element*>(stage(tile) + 2 * Traits::kTileBytes);
  }
  __device__ __forceinline__ std::uint64_t* mask(int tile) const {
    return reinterpret_cast<std::uint64_t*>(stage(tile) + 2 * Traits::kTileBytes +
                                            Traits::kClusterBytes);
  }
  __device__ __forceinline__ std::uint64_t* probes(int tile) const {
    return mask(tile) + Traits::kMaskBytes / 8;
  }
  __device__ __forceinline__ RowValues* row_values(int tile) const {
    return reinterpret_cast<RowValues*>(stage(tile) + Traits::kStageBytes - Traits::kRowValueBytes);
  }
};

}  // namespace sbm::kernels::cuda::dense
