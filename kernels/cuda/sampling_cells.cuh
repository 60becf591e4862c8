#pragma once

#include <cstdint>

#include "kernels/cuda/ptx.cuh"
#include "kernels/cuda/sampling_operands.h"
#include "kernels/sampler_threshold.h"

// What one thread or one warp makes of the sampler's integers: accumulators, thresholds, gates
// (docs/sampler.md, sections 4 and 5). Bits, not tolerances: any kernel may compute them again.
namespace sbm::kernels::cuda {

/// acc_ij = sum over c of W_ic K_jc of one cell, by one thread.
__device__ __forceinline__ std::uint32_t cell_accumulator(const EntryBytes* weights,
                                                          const EntryBytes* key, int units) {
  std::uint32_t high = 0;
  std::uint32_t middle = 0;
  std::uint32_t low = 0;
  for (int unit = 0; unit < units; ++unit) {
    const EntryBytes w = weights[unit];
    const EntryBytes k = key[unit];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      high = ptx::dot4_u8(w.high[half], k.high[half], high);
      middle = ptx::dot4_u8(w.high[half], k.low[half], middle);
      middle = ptx::dot4_u8(w.low[half], k.high[half], middle);
      low = ptx::dot4_u8(w.low[half], k.low[half], low);
    }
  }
  return (high << 16) + (middle << 8) + low;
}

/// The accumulators of 16 rows and 8 keys in the layout of an m16n8 fragment, by one warp.
struct CellFragment {
  std::uint32_t high[4] = {};
  std::uint32_t middle[4] = {};
  std::uint32_t low[4] = {};

  /// Adds 32 clusters. `upper` and `lower` are the lane's units of W in rows group and group + 8,
  /// `key` its unit of K of key `group`, each unit 4 step + quad_lane of its row.
  __device__ __forceinline__ void add(const EntryBytes& upper, const EntryBytes& lower,
                                      const EntryBytes& key) {
    const std::uint32_t w_high[4] = {upper.high[0], lower.high[0], upper.high[1], lower.high[1]};
    const std::uint32_t w_low[4] = {upper.low[0], lower.low[0], upper.low[1], lower.low[1]};
    ptx::mma_m16n8k32_u8(high, w_high, key.high);
    ptx::mma_m16n8k32_u8(middle, w_high, key.low);
    ptx::mma_m16n8k32_u8(middle, w_low, key.high);
    ptx::mma_m16n8k32_u8(low, w_low, key.low);
  }

  /// acc_ij of row group + 8 (i / 2), key 2 quad_lane + i mod 2.
  [[nodiscard]] __device__ __forceinline__ std::uint32_t accumulator(int i) const {
    return (high[i] << 16) + (middle[i] << 8) + low[i];
  }
};

}  // namespace sbm::kernels::cuda
