#pragma once

#include <cstdint>

#include "kernels/cuda/attention_edges.cuh"
#include "kernels/cuda/device.cuh"

namespace sbm::kernels::cuda {

/// Qhat or Khat of a graph. Rows are 16-byte aligned if `clusters` is a multiple of 4.
struct MembershipRows {
  __device__ __forceinline__ MembershipRows(const float* all, std::int64_t graph,
                                            std::int64_t tokens, int cluster_count)
      : rows(all + graph * tokens * cluster_count), clusters(cluster_count) {}

  [[nodiscard]] __device__ __forceinline__ const float* operator[](int token) const {
    return rows + static_cast<std::int64_t>(token) * clusters;
  }

  const float* rows;
  int clusters;
};

/// A weighted sum of rows of memberships, spread over the lanes of a team: lane l holds clusters
/// 4 (l + lanes p) to 4 (l + lanes p) + 3 of piece p.
template <class Traits>
struct ClusterSums {
  static constexpr int kPieces = Traits::kMostClusters / (4 * Traits::kTeamLanes);
  static_assert(kPieces * 4 * Traits::kTeamLanes == Traits::kMostClusters);
  /// Cells whose rows are in flight together: eight 16-byte loads a lane, or so.
  static constexpr int kUnrolledCells = kPieces <= 2 ? Traits::kBatch : 2;
  float sums[kPieces][4] = {};

  /// Adds the rows of a batch of cells, one after the other: row `other` times `factor`, of which
  /// each lane holds those of its slot. Cells from base on; those from `end` on are none.
  __device__ __forceinline__ void add_batch(float factor, int other, std::uint32_t base,
                                            std::uint32_t end, const MembershipRows& memberships,
                                            const EdgeLane<Traits>& lane) {
    const auto for_each_cell = [&](const auto& add_row) {
#pragma unroll(kUnrolledCells)
      for (int place = 0; place < Traits::kBatch; ++place) {
        const int source = place % Traits::kGroups * Traits::kGroupLanes + place / Traits::kGroups;
        const float factor_of_cell = __shfl_sync(kFullWarp, factor, source, Traits::kTeamLanes);
        const int token = __shfl_sync(kFullWarp, other, source, Traits::kTeamLanes);
        if (base + place < end) add_row(factor_of_cell, memberships[token]);
      }
    };
    if (memberships.clusters % 4 == 0) {
      for_each_cell([&](float factor_of_cell, const float* row) {
        add_row_of_quads(factor_of_cell, row, memberships.clusters, lane.in_team);
      });
    } else {
      for_each_cell([&](float factor_of_cell, const float* row) {
        add_any_row(factor_of_cell, row, memberships.clusters, lane.in_team);
      });
    }
  }

  /// Writes the sums to a row of `clusters`.
  __device__ __forceinline__ void store(float* row, int clusters, int in_team) const {
#pragma unroll
    for (int p = 0; p < kPieces; ++p) {
      const int first = 4 * (in_team + p * Traits::kTeamLanes);
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        if (first + c < clusters) row[first + c] = sums[p][c];
      }
    }
  }

 private:
  __device__ __forceinline__ void add_row_of_quads(float factor, const float* row, int clusters,
                                                   int in_team) {
#pragma unroll
    for (int p = 0; p < kPieces; ++p) {
      const int first = 4 * (in_team + p * Traits::kTeamLanes);
      if (first >= clusters) continue;
      const float4 values = __ldg(reinterpret_cast<const float4*>(row + first));
      sums[p][0] = fmaf(factor, values.x, sums[p][0]);
      sums[p][1] = fmaf(factor, values.y, sums[p][1]);
      sums[p][2] = fmaf(factor, values.z, sums[p][2]);
      sums[p][3] = fmaf(factor, values.w, sums[p][3]);
    }
  }

  __device__ __forceinline__ void add_any_row(float factor, const float* row, int clusters,
                                              int in_team) {
#pragma unroll
    for (int p = 0; p < kPieces; ++p) {
      const int first = 4 * (in_team + p * Traits::kTeamLanes);
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        if (first + c < clusters) sums[p][c] = fmaf(factor, row[first + c], sums[p][c]);
      }
    }
  }
};

}  // namespace sbm::kernels::cuda
