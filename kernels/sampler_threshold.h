#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "base/host_device.h"
#include "kernels/sampling.h"

// From the accumulator of a cell to its threshold (docs/sampler.md, section 5). Probabilities are
// integers in units of 2^-32.
namespace sbm::kernels {

inline constexpr std::uint32_t kLargestThreshold = 0xFFFFFFFF;

/// min(round(exploration * 2^32), 2^32 - 1).
[[nodiscard]] inline std::uint32_t exploration_units(double exploration) {
  const double units = std::nearbyint(exploration * 4294967296.0);
  return static_cast<std::uint32_t>(std::min(units, 4294967295.0));
}

/// P of a cell in units of 2^-32: the accumulator divided by 2^shift, saturating; shift = R_i + e_j
/// is at most 31.
[[nodiscard]] SBM_HOST_DEVICE constexpr std::uint32_t probability_units(std::uint32_t accumulator,
                                                                        int shift) {
  if (shift >= 0) return accumulator >> shift;
  const int left = std::min(-shift, 31);
  return accumulator > (kLargestThreshold >> left) ? kLargestThreshold : accumulator << left;
}

/// Coefficients of (1 - (1 - exp(-2z)) / (2z)) / z in powers of -z, in units of 2^-32: a Chebyshev
/// fit on [0, 1).
inline constexpr std::size_t kPoissonTerms = 9;
inline constexpr std::array<std::uint32_t, kPoissonTerms> kPoissonSeries = {
    4294967295, 2863311465, 1431654001, 572644006, 190791695, 54255162, 13131433, 2493428, 273591};
SBM_DEVICE_COPY(kPoissonSeries);

/// 2^32 (1 - exp(-x / 2^32)) for x < 2^33 - 1, with an error below 16 (2^-28) and a relative error
/// below 2^-28 beside the rounding down; 0 for 0. All in 32-bit numbers, but for the last product.
[[nodiscard]] SBM_HOST_DEVICE constexpr std::uint32_t poisson_threshold(std::uint64_t x) {
  const auto z = x >> 1;
  std::uint64_t series = SBM_TABLE(kPoissonSeries)[kPoissonTerms - 1];
  for (int n = static_cast<int>(kPoissonTerms) - 2; n >= 0; --n) {
    series = SBM_TABLE(kPoissonSeries)[static_cast<std::size_t>(n)] - ((z * series) >> 32);
  }
  const std::uint64_t factor = (std::uint64_t{1} << 31) - ((z * series) >> 33);
  return static_cast<std::uint32_t>((x * factor) >> 31);
}

/// T: the edge is drawn with probability T / 2^32.
[[nodiscard]] SBM_HOST_DEVICE constexpr std::uint32_t edge_threshold(MaskLaw law,
                                                                     std::uint32_t probability,
                                                                     std::uint32_t exploration) {
  const std::uint64_t sum = std::uint64_t{probability} + exploration;
  if (law == MaskLaw::kPoisson) return poisson_threshold(sum);
  return static_cast<std::uint32_t>(sum < kLargestThreshold ? sum : kLargestThreshold);
}

/// Whether P + exploration reached 1, where nothing is passed on to P.
[[nodiscard]] SBM_HOST_DEVICE constexpr bool is_saturated(std::uint32_t probability,
                                                          std::uint32_t exploration) {
  return std::uint64_t{probability} + exploration >= kLargestThreshold;
}

/// dq/dP of a drawn edge with threshold T: 0 where saturated, else 1 under BERNOULLI and 1 - T /
/// 2^32 under POISSON.
[[nodiscard]] SBM_HOST_DEVICE constexpr float edge_gate(MaskLaw law, std::uint32_t threshold,
                                                        bool saturated) {
  if (saturated) return 0.0F;
  if (law == MaskLaw::kBernoulli) return 1.0F;
  return static_cast<float>(4294967296.0 - threshold) * 0x1p-32F;
}

}  // namespace sbm::kernels
