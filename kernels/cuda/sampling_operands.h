#pragma once

#include <cstdint>

#include "base/host_device.h"

// The sampler's integers as CUDA's kernels hold them: a row of W or of K (docs/sampler.md,
// sections 3 and 4), zero beyond its clusters, as the bytes that m16n8k32 multiplies.
namespace sbm::kernels::cuda {

/// Eight neighbouring 15-bit entries of a row, byte i of `high` and of `low` being the upper and
/// the lower half of entry i. Unit 4 s + q is what lane q of a quad loads, at once, for its part of
/// step s of 32 clusters: high[0], high[1] (low[0], low[1]) are its two registers of an operand.
/// The clusters then stand in another order than in the fragment's definition, the same for W and
/// K: no sum of products can tell.
struct alignas(16) EntryBytes {
  std::uint32_t high[2];
  std::uint32_t low[2];
};

inline constexpr int kUnitEntries = 8;   ///< of EntryBytes
inline constexpr int kStepEntries = 32;  ///< clusters of one m16n8k32
inline constexpr int kStepUnits = kStepEntries / kUnitEntries;

/// Steps of 32 clusters, the last one filled up with zeros.
[[nodiscard]] SBM_HOST_DEVICE constexpr int entry_steps(std::int64_t clusters) {
  return static_cast<int>((clusters + kStepEntries - 1) / kStepEntries);
}

/// Units of a row.
[[nodiscard]] SBM_HOST_DEVICE constexpr int entry_units(std::int64_t clusters) {
  return kStepUnits * entry_steps(clusters);
}

/// Entry `index` (0 to 7) of a unit.
[[nodiscard]] SBM_HOST_DEVICE constexpr std::uint32_t unit_entry(const EntryBytes& unit,
                                                                 int index) {
  const int shift = 8 * (index & 3);
  return (unit.high[index >> 2] >> shift & 0xFF) << 8 | (unit.low[index >> 2] >> shift & 0xFF);
}

}  // namespace sbm::kernels::cuda
