#pragma once

#include <cstdint>

#include "kernels/cuda/device.cuh"

// Sums and scans of integers over the lanes of a warp: no order can change them.
namespace sbm::kernels::cuda {

inline constexpr int kWarpLanes = 32;
inline constexpr std::uint32_t kWholeWarp = 0xFFFFFFFF;

/// Blocks for `work` items.
inline unsigned blocks_for(std::int64_t work, int per_block) {
  return static_cast<unsigned>((work + per_block - 1) / per_block);
}

__device__ __forceinline__ int lane_id() { return static_cast<int>(threadIdx.x) % kWarpLanes; }
__device__ __forceinline__ int warp_id() { return static_cast<int>(threadIdx.x) / kWarpLanes; }

/// The sum of `value` over the groups of `kLanes` neighbouring lanes, in every lane.
template <int kLanes = kWarpLanes, class Number>
__device__ __forceinline__ Number lanes_sum(Number value) {
#pragma unroll
  for (int step = 1; step < kLanes; step *= 2) value += __shfl_xor_sync(kWholeWarp, value, step);
  return value;
}

/// The largest `value` of the warp, in every lane.
template <class Number>
__device__ __forceinline__ Number warp_max(Number value) {
#pragma unroll
  for (int step = 1; step < kWarpLanes; step *= 2) {
    const Number other = __shfl_xor_sync(kWholeWarp, value, step);
    value = other > value ? other : value;
  }
  return value;
}

/// The sum of `value` over the lanes of the group up to this one, no more than `most`.
template <int kLanes, class Number>
__device__ __forceinline__ Number lanes_scan(Number value, Number most) {
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
#pragma unroll
  for (int step = 1; step < kLanes; step *= 2) {
    const Number before = __shfl_up_sync(kWholeWarp, value, step, kLanes);
    if (lane >= step) value = before > most - value ? most : value + before;
  }
  return value;
}

/// The sum modulo 2^bits of `value` over the lanes of the group up to this one.
template <int kLanes, class Number>
__device__ __forceinline__ Number lanes_scan(Number value) {
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
#pragma unroll
  for (int step = 1; step < kLanes; step *= 2) {
    const Number before = __shfl_up_sync(kWholeWarp, value, step, kLanes);
    if (lane >= step) value += before;
  }
  return value;
}

}  // namespace sbm::kernels::cuda
