#include "kernels/cpu/sampler_linear.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "base/checked.h"
#include "kernels/sampler_counters.h"
#include "kernels/sampler_fixed_point.h"
#include "kernels/sampler_threshold.h"

namespace sbm::kernels::cpu {
namespace {

constexpr int kLargestScaleBits = 16;
/// A proposal costs about as much as this many cells of the first branch.
constexpr int kCellsPerProposalBits = 7;
/// Beyond this bound on P + delta (16) hazards would leave their 58-bit fixed point.
constexpr std::uint64_t kLargestBound = std::uint64_t{1} << 36;

/// A factor c of the rate of proposals, as 2^16 / c, and the largest p 2^32 for which
/// -ln(1 - p) <= (1 - 2^-10) c p.
struct RateFactor {
  std::uint32_t inverse = 0;
  std::uint64_t largest_bound = 0;
};

constexpr std::array<RateFactor, 11> kRateFactors = {{
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

/// value * 2^-shift, rounded up, at most 2^63.
std::uint64_t shift_up(std::uint64_t value, int shift) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 63;
  if (value == 0) return 0;
  if (shift >= 64) return 1;
  if (shift > 0)
    return (value >> shift) + ((value & ((std::uint64_t{1} << shift) - 1)) != 0 ? 1 : 0);
  return std::countl_zero(value) > -shift ? value << -shift : kMost;
}

/// weight * 2^-fraction_bits with kHazardBits fractional bits, rounded down.
std::uint64_t hazard_rate(std::uint64_t weight, int fraction_bits) {
  const int shift = kHazardBits - fraction_bits;
  if (weight == 0) return 0;
  return shift >= 0 ? weight << shift : weight >> -shift;
}

/// One of the two superposed processes: positions on [0, total), a unit of which has the rate
/// c 2^-fraction_bits.
struct Process {
  std::uint32_t tag = 0;
  std::uint64_t total = 0;
  int fraction_bits = 0;
};

constexpr std::uint32_t kClusterProcess = 0;
constexpr std::uint32_t kExplorationProcess = 1;

/// Calls propose(position, uniform) for every arrival, in ascending order.
template <typename Propose>
void for_each_arrival(const LinearRow& call, const Process& process, std::uint32_t inverse_factor,
                      const Propose& propose) {
  if (process.total == 0) return;
  // Positions carry as many fractional bits as fit below 2^63.
  const int position_bits = std::countl_zero(process.total) - 1;
  const std::uint64_t end = process.total << position_bits;
  const int gap_shift = process.fraction_bits + position_bits - kHazardBits;
  std::uint64_t position = 0;
  for (std::uint32_t index = 0;; ++index) {
    const PhiloxBlock block =
        philox4x32<kSamplerPhiloxRounds>({call.row, index, process.tag, kLinearTag}, call.stream);
    const std::uint64_t exponential = negative_log(std::max<std::uint64_t>(wide_word(block, 0), 1));
    std::uint64_t gap = mul_high(exponential, std::uint64_t{inverse_factor} << 48);
    if (gap_shift > 0) {
      if (gap_shift >= 64 || (gap >> (64 - gap_shift)) != 0) return;
      gap <<= gap_shift;
    } else {
      gap >>= -gap_shift;
    }
    if (gap >= end - position) return;
    position += gap;
    propose(position >> position_bits, wide_word(block, 1));
  }
}

/// The sum of the proposal weights of a cell.
std::uint64_t cell_weight(const WeightRow& row, const KeySums& sums, std::int64_t key,
                          std::uint32_t accumulator) {
  const ProposalScale scale = sums.proposal_scale(key);
  if (scale.right == 0) return std::uint64_t{accumulator} << scale.left;
  const QuantizedKeys& keys = sums.keys();
  std::uint64_t weight = 0;
  for (std::int64_t c = 0; c < keys.clusters; ++c) {
    weight += std::uint64_t{row.weights[c]} * scale.weight(keys.row(key)[c]);
  }
  return weight;
}

}  // namespace

void KeySums::prepare(const QuantizedKeys& keys) {
  keys_ = keys;
  valid_.clear();
  least_exponent_ = std::numeric_limits<std::uint8_t>::max();
  for (std::int64_t key = 0; key < keys.count(); ++key) {
    if (!keys.is_valid(key)) continue;
    valid_.push_back(static_cast<std::int32_t>(key));
    least_exponent_ =
        std::min(least_exponent_, static_cast<int>(keys.exponents[static_cast<std::size_t>(key)]));
  }
  // The total of a cluster stays below 2^46, so that of a row stays below 2^63.
  const auto keys_bits = static_cast<int>(
      std::bit_width(static_cast<std::uint64_t>(std::max<std::int64_t>(valid_keys() - 1, 0))));
  scale_bits_ = std::min(kLargestScaleBits, 31 - keys_bits);

  const auto stride = static_cast<std::size_t>(keys.stride);
  strip_count_ = ceil_divide(keys.count(), kStripKeys);
  sum_keys(keys, least_exponent_, scale_bits_,
           strips_.reserve(static_cast<std::size_t>((strip_count_ + 1) * keys.clusters)),
           totals_.largest.reserve(stride));
  std::uint32_t* low = totals_.low.reserve(stride);
  std::uint32_t* high = totals_.high.reserve(stride);
  strips_per_weight_.resize(static_cast<std::size_t>(keys.clusters));
  for (std::int64_t c = 0; c < keys.stride; ++c) {
    const std::uint64_t total = c < keys.clusters ? strip_sums(c)[strip_count_] : 0;
    low[c] = static_cast<std::uint32_t>(total);
    high[c] = static_cast<std::uint32_t>(total >> 32);
    if (total > 0) {
      strips_per_weight_[static_cast<std::size_t>(c)] =
          static_cast<double>(strip_count_) / static_cast<double>(total);
    }
  }
}

std::int64_t KeySums::find_key(std::int64_t cluster, std::uint64_t offset) const {
  const std::uint64_t* sums = strip_sums(cluster);
  // Weights that are spread evenly are near their share; others are found in strides that double.
  const double share =
      static_cast<double>(offset) * strips_per_weight_[static_cast<std::size_t>(cluster)];
  std::int64_t low = std::min(static_cast<std::int64_t>(share), strip_count_ - 1);
  std::int64_t high = low + 1;
  for (std::int64_t step = 1; sums[low] > offset; step *= 2) {
    high = low;
    low = std::max<std::int64_t>(low - step, 0);
  }
  for (std::int64_t step = 1; sums[high] <= offset; step *= 2) {
    low = high;
    high = std::min(high + step, strip_count_);
  }
  while (high - low > 1) {
    const std::int64_t middle = (low + high) / 2;
    (sums[middle] <= offset ? low : high) = middle;
  }
  // Without a branch that depends on the key.
  std::uint64_t sum = sums[low];
  const std::int64_t begin = low * kStripKeys;
  const std::int64_t end = std::min(begin + kStripKeys, keys_.count());
  std::int64_t found = begin;
  for (std::int64_t key = begin; key < end; ++key) {
    const std::uint64_t weight = proposal_scale(key).weight(keys_.row(key)[cluster]);
    sum += keys_.is_valid(key) ? weight : 0;
    found += static_cast<std::int64_t>(sum <= offset);
  }
  return found;
}

RowPlan plan_row(const WeightRow& row, const KeySums& sums, MaskLaw law,
                 std::uint32_t exploration) {
  RowPlan plan;
  if (sums.valid_keys() == 0) return plan;
  const int excess_bits = row.exponent + sums.least_exponent() + sums.scale_bits();
  plan.fraction_bits = 32 + excess_bits;
  const RowTotals totals = sum_weights(row.weights, sums.totals(), sums.keys().clusters);
  plan.cluster_total = totals.total;
  const auto valid_keys = static_cast<std::uint64_t>(sums.valid_keys());
  plan.bound = shift_up(totals.largest, excess_bits) + exploration;
  plan.expected = shift_up(plan.cluster_total, excess_bits) + exploration * valid_keys;
  if (plan.bound >= kLargestBound) return plan;
  // POISSON's hazard is P + delta itself: it needs no factor.
  const std::uint64_t bound = law == MaskLaw::kPoisson ? 0 : plan.bound;
  plan.inverse_factor =
      std::find_if(kRateFactors.begin(), kRateFactors.end() - 1, [&](const RateFactor& factor) {
        return bound <= factor.largest_bound;
      })->inverse;
  // Proposals c N 2^-32 against keys / kCellsPerProposal, both sides multiplied by 2^48 / c.
  plan.linear = plan.expected <= (valid_keys * plan.inverse_factor)
                                     << (32 - 16 - kCellsPerProposalBits);
  return plan;
}

void draw_linear_row(const LinearRow& call, const WeightRow& row, const RowPlan& plan,
                     const KeySums& sums, LinearScratch& scratch, std::vector<LinearEdge>& edges) {
  scratch.keys.clear();
  scratch.uniforms.clear();
  const auto propose = [&](std::int64_t key, std::uint64_t uniform) {
    if (key == call.excluded_key) return;
    scratch.keys.push_back(static_cast<std::int32_t>(key));
    scratch.uniforms.push_back(uniform);
  };
  std::int64_t cluster = 0;
  std::uint64_t cluster_begin = 0;
  for_each_arrival(call, {kClusterProcess, plan.cluster_total, plan.fraction_bits},
                   plan.inverse_factor, [&](std::uint64_t position, std::uint64_t uniform) {
                     std::uint64_t here = row.weights[cluster] * sums.total(cluster);
                     while (position - cluster_begin >= here) {
                       cluster_begin += here;
                       ++cluster;
                       here = row.weights[cluster] * sums.total(cluster);
                     }
                     const std::uint64_t offset = (position - cluster_begin) / row.weights[cluster];
                     propose(sums.find_key(cluster, offset), uniform);
                   });
  const auto valid_keys = static_cast<std::uint64_t>(sums.valid_keys());
  for_each_arrival(call, {kExplorationProcess, call.exploration * valid_keys, 32},
                   plan.inverse_factor, [&](std::uint64_t position, std::uint64_t uniform) {
                     propose(sums.valid_key(position / call.exploration), uniform);
                   });

  const QuantizedKeys& keys = sums.keys();
  scratch.accumulators.resize(scratch.keys.size());
  accumulate_keys(row.weights, keys, scratch.keys.data(), std::ssize(scratch.keys),
                  scratch.accumulators.data());
  edges.clear();
  for (std::size_t i = 0; i < scratch.keys.size(); ++i) {
    const std::int32_t key = scratch.keys[i];
    const std::uint32_t accumulator = scratch.accumulators[i];
    const int shift = row.exponent + keys.exponents[static_cast<std::size_t>(key)];
    const std::uint32_t probability = probability_units(accumulator, shift);
    const std::uint32_t threshold = edge_threshold(call.law, probability, call.exploration);
    if (threshold == 0) continue;
    // Both rates with kHazardBits fractional bits; the bound in plan_row keeps them below 16
    // and 23.
    const std::uint64_t hazard = negative_log(((std::uint64_t{1} << 32) - threshold) << 32);
    const std::uint64_t weight = cell_weight(row, sums, key, accumulator);
    const std::uint64_t rate = hazard_rate(weight, plan.fraction_bits) +
                               (std::uint64_t{call.exploration} << (kHazardBits - 32));
    if (mul_high(scratch.uniforms[i], rate) <
        mul_high(hazard, std::uint64_t{plan.inverse_factor} << 48)) {
      edges.push_back(
          {key, edge_gate(call.law, threshold, is_saturated(probability, call.exploration))});
    }
  }
  const auto before = [](const LinearEdge& a, const LinearEdge& b) { return a.column < b.column; };
  const auto equal = [](const LinearEdge& a, const LinearEdge& b) { return a.column == b.column; };
  std::sort(edges.begin(), edges.end(), before);
  edges.erase(std::unique(edges.begin(), edges.end(), equal), edges.end());
}

}  // namespace sbm::kernels::cpu
