#pragma once

#include <cstdint>

#include "kernels/cuda/sampling_call.h"
#include "kernels/cuda/sampling_set.cuh"

// Lists row by row: a group of lanes collects a row in a set and appends it.
namespace sbm::kernels::cuda {

/// Whether the lists of a graph of this kind are appended row by row.
[[nodiscard]] SBM_HOST_DEVICE constexpr bool is_listed_by_rows(GraphKind kind, bool probes) {
  return kind == GraphKind::kRowLists || (probes && kind == GraphKind::kBitLists);
}

/// Moves the set of a row to the first free place of the graph's list; returns its size. By all
/// lanes of a warp, whose groups may have different rows of one graph; not `inside`: no row.
__device__ __forceinline__ std::uint32_t append_row(const ListBuild& build, std::int64_t graph,
                                                    std::int64_t row, bool inside,
                                                    OrderedSet& set) {
  __syncwarp();
  const std::uint32_t mine = set.count();
  const std::uint32_t through = lanes_scan<kGroupLanes>(mine);
  const std::uint32_t total = __shfl_sync(kWholeWarp, through, kGroupLanes - 1, kGroupLanes);
  std::uint32_t start = 0;
  if (group_lane() == 0 && inside) {
    start = atomicAdd(build.cursors + graph, total);
    build.row_counts[row] = total;
    build.row_starts[row] = start;
  }
  start = __shfl_sync(kWholeWarp, start, 0, kGroupLanes);
  if (std::int64_t{start} + total <= build.lists.capacity) {
    set.drain(build.lists.rows + graph * build.lists.capacity + start + through - mine);
  } else {
    set.clear();
  }
  __syncwarp();
  return total;
}

/// Warps of a block whose groups have `group_bytes` of shared memory each.
[[nodiscard]] inline int warps_for(std::size_t group_bytes) {
  constexpr std::size_t kSharedGoal = 48 * 1024;
  int warps = 4;
  while (warps > 1 && group_bytes * kWarpGroups * static_cast<std::size_t>(warps) > kSharedGoal) {
    warps /= 2;
  }
  return warps;
}

inline constexpr int kMostGroupThreads = 4 * kWarpLanes;

/// Shared bytes of a set of numbers below `range`.
[[nodiscard]] SBM_HOST_DEVICE constexpr std::int32_t set_bytes(std::int32_t range) {
  return OrderedSet::words(range) * static_cast<std::int32_t>(sizeof(std::uint32_t));
}

/// Which group of four rows (or columns) of which graph a warp takes next.
struct GroupWork {
  std::int64_t per_graph;  ///< groups of four
  std::int64_t next;
  std::int64_t step;

  __device__ explicit GroupWork(std::int32_t lines)
      : per_graph((lines + kWarpGroups - 1) / kWarpGroups),
        next(std::int64_t{blockIdx.x} * (blockDim.x / kWarpLanes) + warp_id()),
        step(std::int64_t{gridDim.x} * (blockDim.x / kWarpLanes)) {}
  [[nodiscard]] __device__ std::int64_t graph() const { return next / per_graph; }
  /// The line of this lane's group; it may lie beyond the last.
  [[nodiscard]] __device__ std::int32_t line() const {
    return static_cast<std::int32_t>(next % per_graph * kWarpGroups + lane_id() / kGroupLanes);
  }
};

/// Warps' worth of work, groups of four lines of every graph.
[[nodiscard]] inline std::int64_t group_works(const SamplingCall& call, std::int32_t lines) {
  return std::int64_t{call.graphs} * ((lines + kWarpGroups - 1) / kWarpGroups);
}

/// Appends, counts, scans, copies and sorts: everything after the rows are known.
Status finish_lists(const SamplingCall& call, bool probes, cudaStream_t stream);

}  // namespace sbm::kernels::cuda
