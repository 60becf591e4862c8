#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/host_device.h"
#include "kernels/sampler_fixed_point.h"
#include "kernels/sampler_threshold.h"
#include "kernels/sampling.h"

// The arithmetic of the sampler's linear branch (docs/sampler.md, section 8), which every device
// shares: scales, a row's plan, the arrivals of a process, their thinning.
namespace sbm::kernels {

inline constexpr int kLargestScaleBits = 16;
/// A proposal costs about as much as this many cells of the first branch.
inline constexpr int kCellsPerProposalBits = 8;
/// Beyond this bound on P + delta (16) hazards would leave their 58-bit fixed point.
inline constexpr std::uint64_t kLargestBound = std::uint64_t{1} << 36;

/// A factor c of the rate of proposals, as 2^16 / c, and the largest p 2^32 for which
/// -ln(1 - p) <= (1 - 2^-10) c p.
struct RateFactor {
  std::uint32_t inverse = 0;
  std::uint64_t largest_bound = 0;
};

inline constexpr std::size_t kRateFactorCount = 11;
inline constexpr std::array<RateFactor, kRateFactorCount> kRateFactors = {{
    {61440, 517910152},   // c = 1.067, p <= 0.1206
    {52428, 1589390726},  // c = 1.25, p <= 0.3701
    {43690, 2499127368},  // c = 1.5, p <= 0.5819
    {32768, 3419990639},  // c = 2, p <= 0.7963
    {21845, 4038484335},  // c = 3, p <= 0.9403
    {16384, 4209454345},  // c = 4, p <= 0.9801
    {10922, 4284098870},  // c = 6, p <= 0.9975
    {8192, 4293511254},   // c = 8, p <= 0.9997
    {5461, 4294940613},   // c = 12, p <= 1
    {4096, 4294966805},   // c = 16, p <= 1
    {2849, 4294967295},   // c = 23, any p
}};
SBM_DEVICE_COPY(kRateFactors);

/// sh, the fractional bits of the proposal weights of `valid_keys` keys: their total of a cluster
/// stays below 2^46, so that of a row stays below 2^63.
[[nodiscard]] SBM_HOST_DEVICE constexpr int proposal_scale_bits(std::uint64_t valid_keys) {
  const int room = 31 - (64 - leading_zeros(valid_keys > 0 ? valid_keys - 1 : 0));
  return room < kLargestScaleBits ? room : kLargestScaleBits;
}

/// How the entries of a key become proposal weights: times 2^power, rounded up.
struct ProposalScale {
  int left;
  int right;

  SBM_HOST_DEVICE constexpr explicit ProposalScale(int power)
      : left(power > 0 ? power : 0), right(power < 0 ? -power : 0) {}
  [[nodiscard]] SBM_HOST_DEVICE constexpr std::uint32_t weight(std::uint32_t entry) const {
    return ((entry << left) + ((1U << right) - 1)) >> right;
  }
};

/// value * 2^-shift, rounded up, at most 2^63.
[[nodiscard]] SBM_HOST_DEVICE constexpr std::uint64_t shift_up(std::uint64_t value, int shift) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 63;
  if (value == 0) return 0;
  if (shift >= 64) return 1;
  if (shift > 0)
    return (value >> shift) + ((value & ((std::uint64_t{1} << shift) - 1)) != 0 ? 1 : 0);
  return leading_zeros(value) > -shift ? value << -shift : kMost;
}

/// What the keys of a graph contribute to the plan of its rows.
struct KeyScale {
  std::uint64_t valid_keys = 0;  ///< V
  int least_exponent = 0;        ///< over the valid keys
  int scale_bits = 0;            ///< proposal_scale_bits(V)

  /// The scale of a key with this exponent.
  [[nodiscard]] SBM_HOST_DEVICE constexpr ProposalScale proposal_scale(int exponent) const {
    return ProposalScale(scale_bits - (exponent - least_exponent));
  }
};

/// Sums over the clusters of W_ic times the totals, and times the largest proposal weights of the
/// keys; below 2^64.
struct RowTotals {
  std::uint64_t total = 0;
  std::uint64_t largest = 0;
};

/// Which branch a row takes, and the constants of the linear one.
struct RowPlan {
  bool linear = false;
  std::uint64_t bound = 0;           ///< of every P + exploration of the row, in units of 2^-32
  std::uint64_t expected = 0;        ///< sum over the valid keys of P + exploration, 2^-32
  int fraction_bits = 0;             ///< F: a weight w of the clusters is the rate w 2^-F
  std::uint32_t inverse_factor = 0;  ///< 2^16 / c; proposals have c times the rate of P + delta
  std::uint64_t cluster_total = 0;   ///< sum over the clusters of W_ic total_c
};

/// From integers alone, so every device takes the same branch. `exploration` in units of 2^-32.
[[nodiscard]] SBM_HOST_DEVICE constexpr RowPlan plan_row(const RowTotals& totals, int row_exponent,
                                                         const KeyScale& keys, MaskLaw law,
                                                         std::uint32_t exploration) {
  RowPlan plan;
  if (keys.valid_keys == 0) return plan;
  const int excess_bits = row_exponent + keys.least_exponent + keys.scale_bits;
  plan.fraction_bits = 32 + excess_bits;
  plan.cluster_total = totals.total;
  plan.bound = shift_up(totals.largest, excess_bits) + exploration;
  plan.expected = shift_up(plan.cluster_total, excess_bits) + exploration * keys.valid_keys;
  if (plan.bound >= kLargestBound) return plan;
  // POISSON's hazard is P + delta itself: it needs no factor.
  const std::uint64_t bound = law == MaskLaw::kPoisson ? 0 : plan.bound;
  std::size_t factor = 0;
  while (factor + 1 < kRateFactorCount && bound > SBM_TABLE(kRateFactors)[factor].largest_bound)
    ++factor;
  plan.inverse_factor = SBM_TABLE(kRateFactors)[factor].inverse;
  // Proposals c N 2^-32 against keys / kCellsPerProposal, both sides multiplied by 2^48 / c.
  plan.linear = plan.expected <= (keys.valid_keys * plan.inverse_factor)
                                     << (32 - 16 - kCellsPerProposalBits);
  return plan;
}

inline constexpr std::uint32_t kClusterProcess = 0;
inline constexpr std::uint32_t kExplorationProcess = 1;

/// One of the two superposed processes of a row: positions on [0, total), a unit of which has the
/// rate c 2^-fraction_bits. Positions carry as many fractional bits as fit below 2^63.
struct Process {
  int position_bits = 0;
  int gap_shift = 0;
  std::uint64_t end = 0;             ///< of the positions; 0: no arrival
  std::uint32_t inverse_factor = 0;  ///< 2^16 / c

  SBM_HOST_DEVICE constexpr Process(std::uint64_t total, int fraction_bits, std::uint32_t inverse)
      : inverse_factor(inverse) {
    if (total == 0) return;
    position_bits = leading_zeros(total) - 1;
    gap_shift = fraction_bits + position_bits - kHazardBits;
    end = total << position_bits;
  }

  /// The gap that a 64-bit uniform stands for; `end` when it ends the process wherever it begins.
  [[nodiscard]] SBM_HOST_DEVICE constexpr std::uint64_t gap(std::uint64_t uniform) const {
    const std::uint64_t exponential = negative_log(uniform == 0 ? 1 : uniform);
    const std::uint64_t unscaled = mul_high(exponential, std::uint64_t{inverse_factor} << 48);
    if (gap_shift <= 0) return gap_shift > -64 ? unscaled >> -gap_shift : 0;
    if (gap_shift >= 64 || (unscaled >> (64 - gap_shift)) != 0) return end;
    const std::uint64_t scaled = unscaled << gap_shift;
    return scaled < end ? scaled : end;
  }
};

/// weight * 2^-fraction_bits with kHazardBits fractional bits, rounded down.
[[nodiscard]] SBM_HOST_DEVICE constexpr std::uint64_t hazard_rate(std::uint64_t weight,
                                                                  int fraction_bits) {
  const int shift = kHazardBits - fraction_bits;
  if (weight == 0) return 0;
  return shift >= 0 ? weight << shift : weight >> -shift;
}

/// Whether an arrival in a cell of this threshold (not 0) is kept. `weight` is the sum of the
/// cell's proposal weights; the bound in plan_row() keeps both rates below 16 and 23.
[[nodiscard]] SBM_HOST_DEVICE constexpr bool keeps_arrival(
    std::uint64_t uniform, std::uint64_t weight, std::uint32_t threshold, int fraction_bits,
    std::uint32_t inverse_factor, std::uint32_t exploration) {
  const std::uint64_t hazard = negative_log(((std::uint64_t{1} << 32) - threshold) << 32);
  const std::uint64_t rate =
      hazard_rate(weight, fraction_bits) + (std::uint64_t{exploration} << (kHazardBits - 32));
  return mul_high(uniform, rate) < mul_high(hazard, std::uint64_t{inverse_factor} << 48);
}

}  // namespace sbm::kernels
