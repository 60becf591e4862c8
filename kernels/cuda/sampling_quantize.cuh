#pragma once

#include <cstdint>

#include "kernels/cuda/sampling_operands.h"
#include "kernels/cuda/sampling_warp.cuh"
#include "kernels/sampler_quantize.h"

// How a warp quantises a row: lane l has the neighbouring entries [l s, (l + 1) s) of the s steps
// of 32, so that sums along the clusters are a scan over the lanes.
namespace sbm::kernels::cuda {

inline constexpr int kMostSteps = 8;  ///< of 256 clusters
inline constexpr float kLargestFloat = 3.402823466e38F;

// Bits of SampledGraphs::invalid_values.
inline constexpr std::uint32_t kInvalidMembership = 1;
inline constexpr std::uint32_t kInvalidBlockEntry = 2;

/// The entries of a lane, zeros beyond the steps and the clusters.
template <class Number>
struct LaneEntries {
  Number of[kMostSteps];
};

/// Rounds a row of numbers with kCarryBits fractional bits: CarriedRounding along the clusters. Its
/// carries telescope, so an entry is the difference of two rounded running sums, and those modulo
/// 2^32 are enough.
__device__ __forceinline__ void round_carried(LaneEntries<std::uint32_t>& entries) {
  std::uint32_t sum = 0;
#pragma unroll
  for (int i = 0; i < kMostSteps; ++i) sum += entries.of[i];
  std::uint32_t before = (1U << (kCarryBits - 1)) + lanes_scan<kWarpLanes>(sum) - sum;
#pragma unroll
  for (int i = 0; i < kMostSteps; ++i) {
    const std::uint32_t through = before + entries.of[i];
    entries.of[i] = ((through >> kCarryBits) - (before >> kCarryBits)) & 0xFFFF;
    before = through;
  }
}

/// Writes the lane's entries to a row of units.
__device__ __forceinline__ void store_entries(const LaneEntries<std::uint32_t>& entries, int steps,
                                              int lane, EntryBytes* row) {
  auto* bytes = reinterpret_cast<std::uint8_t*>(row);
#pragma unroll
  for (int i = 0; i < kMostSteps; ++i) {
    if (i >= steps) continue;
    const int c = lane * steps + i;
    std::uint8_t* unit = bytes + sizeof(EntryBytes) * static_cast<std::size_t>(c / kUnitEntries);
    unit[c % kUnitEntries] = static_cast<std::uint8_t>(entries.of[i] >> 8);
    unit[kUnitEntries + c % kUnitEntries] = static_cast<std::uint8_t>(entries.of[i]);
  }
}

/// Quantises one row of memberships by a warp (null: padding) to a row of units, zeros beyond the
/// clusters; returns its exponent. Values outside [0, 1] count as 0 and are noted.
__device__ __forceinline__ int quantize_row(const float* memberships, std::int32_t clusters,
                                            EntryBytes* row, std::uint32_t* invalid_values) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  const int steps = entry_steps(clusters);
  LaneEntries<float> values;
  bool invalid = false;
  float largest = 0.0F;
#pragma unroll
  for (int i = 0; i < kMostSteps; ++i) {
    // Neighbouring lanes read neighbouring entries; without carries any order will do.
    const int c = i * kWarpLanes + lane;
    values.of[i] = 0.0F;
    if (memberships == nullptr || c >= clusters) continue;
    const float value = memberships[c];
    const bool fine = value >= 0.0F && value <= 1.0F;
    invalid = invalid || !fine;
    values.of[i] = fine ? value : 0.0F;
    largest = values.of[i] > largest ? values.of[i] : largest;
  }
  if (__any_sync(kWholeWarp, invalid) && lane == 0) atomicOr(invalid_values, kInvalidMembership);
  const int exponent = membership_exponent(warp_max(largest));
  const float scale = ldexpf(1.0F, exponent);
  auto* bytes = reinterpret_cast<std::uint8_t*>(row);
#pragma unroll
  for (int i = 0; i < kMostSteps; ++i) {
    if (i >= steps) continue;
    const int c = i * kWarpLanes + lane;
    const auto entry = static_cast<std::uint32_t>(rintf(values.of[i] * scale));
    std::uint8_t* unit = bytes + sizeof(EntryBytes) * static_cast<std::size_t>(c / kUnitEntries);
    unit[c % kUnitEntries] = static_cast<std::uint8_t>(entry >> 8);
    unit[kUnitEntries + c % kUnitEntries] = static_cast<std::uint8_t>(entry);
  }
  return exponent;
}

}  // namespace sbm::kernels::cuda
