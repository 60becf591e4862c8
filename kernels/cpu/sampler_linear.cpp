#include "kernels/cpu/sampler_linear.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

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
std::uint64_t cell_weight(const WeightRow& row, const QuantizedKeys& keys, const KeySums& sums,
                          std::int64_t key, std::uint32_t accumulator) {
  const int exponent = keys.exponents[static_cast<std::size_t>(key)];
  const int exact_bits = sums.scale_bits - (exponent - sums.least_exponent);
  if (exact_bits >= 0) return std::uint64_t{accumulator} << exact_bits;
  const KeySums::ProposalScale scale = sums.proposal_scale(exponent);
  std::uint64_t weight = 0;
  for (std::int64_t c = 0; c < keys.clusters; ++c) {
    weight += std::uint64_t{row.weights[c]} * scale.weight(keys.row(key)[c]);
  }
  return weight;
}

}  // namespace

KeySums::KeySums(const QuantizedKeys& keys)
    : clusters(keys.clusters), least_exponent(std::numeric_limits<std::uint8_t>::max()) {
  for (std::int64_t key = 0; key < keys.count(); ++key) {
    if (!keys.is_valid(key)) continue;
    ++valid_keys;
    least_exponent =
        std::min(least_exponent, static_cast<int>(keys.exponents[static_cast<std::size_t>(key)]));
  }
  // The total of a cluster stays below 2^46, so that of a row stays below 2^63.
  const auto keys_bits = static_cast<int>(
      std::bit_width(static_cast<std::uint64_t>(std::max<std::int64_t>(valid_keys - 1, 0))));
  scale_bits = std::min(kLargestScaleBits, 31 - keys_bits);
  std::vector<std::uint64_t> total(static_cast<std::size_t>(keys.clusters));
  totals.largest.resize(static_cast<std::size_t>(entry_stride(keys.clusters)));
  for (std::int64_t key = 0; key < keys.count(); ++key) {
    if (!keys.is_valid(key)) continue;
    const ProposalScale scale = proposal_scale(keys.exponents[static_cast<std::size_t>(key)]);
    const std::uint16_t* entries = keys.row(key);
    for (std::size_t c = 0; c < total.size(); ++c) {
      const std::uint32_t weight = scale.weight(entries[c]);
      total[c] += weight;
      totals.largest[c] = std::max(totals.largest[c], weight);
    }
  }
  totals.low.resize(totals.largest.size());
  totals.high.resize(totals.largest.size());
  for (std::size_t c = 0; c < total.size(); ++c) {
    totals.low[c] = static_cast<std::uint32_t>(total[c]);
    totals.high[c] = static_cast<std::uint32_t>(total[c] >> 32);
  }
}

KeySums::ProposalScale KeySums::proposal_scale(int exponent) const {
  const int shift = scale_bits - (exponent - least_exponent);
  return {.left = std::max(shift, 0), .right = std::max(-shift, 0)};
}

KeyPrefix::KeyPrefix(const QuantizedKeys& keys, const KeySums& sums)
    : prefix(static_cast<std::size_t>(keys.clusters * keys.count())) {
  valid.reserve(static_cast<std::size_t>(sums.valid_keys));
  for (std::int64_t key = 0; key < keys.count(); ++key) {
    if (keys.is_valid(key)) valid.push_back(static_cast<std::int32_t>(key));
  }
  // Key by key would write far apart: a strip of keys is read once for each cluster, from the
  // cache.
  constexpr std::int64_t kStrip = 64;
  std::vector<std::uint64_t> running(static_cast<std::size_t>(keys.clusters));
  for (std::int64_t begin = 0; begin < keys.count(); begin += kStrip) {
    const std::int64_t end = std::min(begin + kStrip, keys.count());
    for (std::int64_t c = 0; c < keys.clusters; ++c) {
      std::uint64_t sum = running[static_cast<std::size_t>(c)];
      std::uint64_t* to = prefix.data() + c * keys.count();
      for (std::int64_t key = begin; key < end; ++key) {
        const int exponent = keys.exponents[static_cast<std::size_t>(key)];
        if (keys.is_valid(key)) sum += sums.proposal_scale(exponent).weight(keys.row(key)[c]);
        to[key] = sum;
      }
      running[static_cast<std::size_t>(c)] = sum;
    }
  }
}

RowPlan plan_row(const WeightRow& row, const KeySums& sums, MaskLaw law,
                 std::uint32_t exploration) {
  RowPlan plan;
  if (sums.valid_keys == 0) return plan;
  const int excess_bits = row.exponent + sums.least_exponent + sums.scale_bits;
  plan.fraction_bits = 32 + excess_bits;
  const RowTotals totals = sum_weights(row.weights, sums.totals, sums.clusters);
  plan.cluster_total = totals.total;
  const auto valid_keys = static_cast<std::uint64_t>(sums.valid_keys);
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
                     const QuantizedKeys& keys, const KeySums& sums, const KeyPrefix& prefix,
                     std::vector<LinearEdge>& edges) {
  edges.clear();
  const auto thin = [&](std::int64_t key, std::uint64_t uniform) {
    if (key == call.excluded_key) return;
    const std::uint32_t accumulator = accumulate(row.weights, keys.row(key), keys.clusters);
    const int shift = row.exponent + keys.exponents[static_cast<std::size_t>(key)];
    const std::uint32_t probability = probability_units(accumulator, shift);
    const std::uint32_t threshold = edge_threshold(call.law, probability, call.exploration);
    if (threshold == 0) return;
    // Both rates with kHazardBits fractional bits; the bound in plan_row keeps them below 16
    // and 23.
    const std::uint64_t hazard = negative_log(((std::uint64_t{1} << 32) - threshold) << 32);
    const std::uint64_t weight = cell_weight(row, keys, sums, key, accumulator);
    const std::uint64_t rate = hazard_rate(weight, plan.fraction_bits) +
                               (std::uint64_t{call.exploration} << (kHazardBits - 32));
    if (mul_high(uniform, rate) < mul_high(hazard, std::uint64_t{plan.inverse_factor} << 48)) {
      edges.push_back(
          {static_cast<std::int32_t>(key),
           edge_gate(call.law, threshold, is_saturated(probability, call.exploration))});
    }
  };

  std::size_t cluster = 0;
  std::uint64_t cluster_begin = 0;
  for_each_arrival(
      call, {kClusterProcess, plan.cluster_total, plan.fraction_bits}, plan.inverse_factor,
      [&](std::uint64_t position, std::uint64_t uniform) {
        while (position - cluster_begin >= row.weights[cluster] * sums.total(cluster)) {
          cluster_begin += row.weights[cluster] * sums.total(cluster);
          ++cluster;
        }
        const std::uint64_t offset = (position - cluster_begin) / row.weights[cluster];
        const auto first =
            prefix.prefix.begin() + static_cast<std::ptrdiff_t>(cluster) * keys.count();
        thin(std::upper_bound(first, first + keys.count(), offset) - first, uniform);
      });
  for_each_arrival(call,
                   {kExplorationProcess, std::uint64_t{call.exploration} * prefix.valid.size(), 32},
                   plan.inverse_factor, [&](std::uint64_t position, std::uint64_t uniform) {
                     thin(prefix.valid[position / call.exploration], uniform);
                   });

  const auto before = [](const LinearEdge& a, const LinearEdge& b) { return a.column < b.column; };
  const auto equal = [](const LinearEdge& a, const LinearEdge& b) { return a.column == b.column; };
  std::sort(edges.begin(), edges.end(), before);
  edges.erase(std::unique(edges.begin(), edges.end(), equal), edges.end());
}

}  // namespace sbm::kernels::cpu
