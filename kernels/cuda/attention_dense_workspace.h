#pragma once

#include <cstddef>
#include <cstdint>

#include "base/checked.h"
#include "base/host_device.h"
#include "kernels/cuda/attention.h"
#include "kernels/cuda/mask_layout.h"

// What the dense-masked backward prepares before its passes, in the caller's workspace.
namespace sbm::kernels::cuda::dense {

/// Clusters of a prepared row: whole k-steps of mma, zeros beyond the last cluster.
inline constexpr std::int64_t kClusterStep = 16;

/// What the cells of a row share.
struct alignas(8) RowValues {
  float log_sum_exp = 0.0F;  ///< of powers of 2
  float delta = 0.0F;        ///< dO . O
};

/// Where everything lies; all pointers are multiples of 16.
struct Workspace {
  void* query_membership = nullptr;       ///< [graphs, queries, padded clusters] of Q's precision
  void* key_membership = nullptr;         ///< [graphs, keys, padded clusters]
  RowValues* row_values = nullptr;        ///< [graphs, queries in whole mask tiles]
  std::uint8_t* only_edge = nullptr;      ///< [graphs, queries]: the row has exactly one edge
  std::uint32_t* may_saturate = nullptr;  ///< [graphs]: some cell may have P + delta >= 1
};

[[nodiscard]] SBM_HOST_DEVICE constexpr std::int64_t padded_clusters_of(std::int64_t clusters) {
  return (clusters + kClusterStep - 1) / kClusterStep * kClusterStep;
}

/// Lays the workspace out from `base` on (null: only to learn its size) and returns its bytes.
inline std::size_t lay_out_workspace(const AttentionShape& shape, Precision precision, void* base,
                                     Workspace& workspace) {
  std::size_t bytes = 0;
  auto* const start = static_cast<unsigned char*>(base);
  const auto take = [&](std::int64_t count, std::int64_t element_bytes) -> void* {
    void* const place = start == nullptr ? nullptr : start + bytes;
    bytes += static_cast<std::size_t>(round_up(count * element_bytes, std::int64_t{16}));
    return place;
  };
  const std::int64_t graphs = shape.batch * shape.heads;
  const std::int64_t clusters = padded_clusters_of(shape.clusters);
  const std::int64_t element = precision == Precision::kBfloat16 ? 2 : 4;
  workspace.query_membership = take(graphs * shape.queries * clusters, element);
  workspace.key_membership = take(graphs * shape.keys * clusters, element);
  workspace.row_values = static_cast<RowValues*>(
      take(graphs * mask_tiles(shape.queries) * kMaskTile, sizeof(RowValues)));
  workspace.only_edge = static_cast<std::uint8_t*>(take(graphs * shape.queries, 1));
  workspace.may_saturate = static_cast<std::uint32_t*>(take(graphs, sizeof(std::uint32_t)));
  return bytes;
}

}  // namespace sbm::kernels::cuda::dense
