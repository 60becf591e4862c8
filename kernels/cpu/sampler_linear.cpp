#include "kernels/cpu/sampler_linear.h"

#include <algorithm>
#include <limits>

#include "base/checked.h"
#include "kernels/sampler_threshold.h"

namespace sbm::kernels::cpu {
namespace {

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
  scale_bits_ = proposal_scale_bits(static_cast<std::uint64_t>(valid_keys()));

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

void KeySums::prefetch(std::int64_t cluster, std::uint64_t offset) const {
  const std::int64_t strip = likely_strip(cluster, offset);
  __builtin_prefetch(strip_sums(cluster) + strip);
  const std::int64_t begin = strip * kStripKeys;
  const std::int64_t end = std::min(begin + kStripKeys, keys_.count());
  for (std::int64_t key = begin; key < end; ++key) __builtin_prefetch(keys_.row(key) + cluster);
}

std::int64_t KeySums::find_key(std::int64_t cluster, std::uint64_t offset) const {
  const std::uint64_t* sums = strip_sums(cluster);
  // Weights that are spread evenly are near their share; others are found in strides that double.
  std::int64_t low = likely_strip(cluster, offset);
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
  if (sums.valid_keys() == 0) return {};
  return plan_row(sum_weights(row.weights, sums.totals(), sums.keys().clusters), row.exponent,
                  sums.scale(), law, exploration);
}

namespace {

/// How many arrivals a process of this total expects, in units of 2^-32 before the factor.
double expected_arrivals(std::uint64_t total, std::uint32_t inverse_factor) {
  return static_cast<double>(total) * 0x1p-16 / inverse_factor;
}

/// Replaces scratch.keys and scratch.uniforms by those of all arrivals.
void propose_keys(const LinearRow& call, const WeightRow& row, const RowPlan& plan,
                  const KeySums& sums, LinearScratch& scratch) {
  scratch.keys.clear();
  scratch.uniforms.clear();
  const auto propose = [&](std::int64_t key, std::uint64_t uniform) {
    if (key == call.excluded_key) return;
    scratch.keys.push_back(static_cast<std::int32_t>(key));
    scratch.uniforms.push_back(uniform);
  };
  list_arrivals(call.stream, call.row, kClusterProcess,
                Process(plan.cluster_total, plan.fraction_bits, plan.inverse_factor),
                expected_arrivals(plan.expected, plan.inverse_factor), scratch.arrivals);
  // What the keys are found by is asked for well before it is read.
  scratch.places.clear();
  std::int64_t cluster = 0;
  std::uint64_t cluster_begin = 0;
  std::uint64_t here = row.weights[0] * sums.total(0);
  for (const Arrival& arrival : scratch.arrivals) {
    while (arrival.position - cluster_begin >= here) {
      cluster_begin += here;
      ++cluster;
      here = row.weights[cluster] * sums.total(cluster);
    }
    const std::uint64_t offset = (arrival.position - cluster_begin) / row.weights[cluster];
    sums.prefetch(cluster, offset);
    scratch.places.push_back({cluster, offset});
  }
  for (std::size_t i = 0; i < scratch.arrivals.size(); ++i) {
    const LinearScratch::Place& place = scratch.places[i];
    propose(sums.find_key(place.cluster, place.offset), scratch.arrivals[i].uniform);
  }
  if (call.exploration == 0) return;
  const std::uint64_t total = call.exploration * static_cast<std::uint64_t>(sums.valid_keys());
  list_arrivals(call.stream, call.row, kExplorationProcess, Process(total, 32, plan.inverse_factor),
                expected_arrivals(total, plan.inverse_factor), scratch.arrivals);
  for (const Arrival& arrival : scratch.arrivals) {
    propose(sums.valid_key(arrival.position / call.exploration), arrival.uniform);
  }
}

}  // namespace

void draw_linear_row(const LinearRow& call, const WeightRow& row, const RowPlan& plan,
                     const KeySums& sums, LinearScratch& scratch, std::vector<LinearEdge>& edges) {
  propose_keys(call, row, plan, sums, scratch);
  const QuantizedKeys& keys = sums.keys();
  scratch.accumulators.resize(scratch.keys.size());
  accumulate_keys(row.weights, keys, scratch.keys.data(), std::ssize(scratch.keys),
                  scratch.accumulators.data());
  edges.resize(scratch.keys.size());
  std::size_t count = 0;
  // Without a branch: which proposals are kept cannot be foretold.
  for (std::size_t i = 0; i < scratch.keys.size(); ++i) {
    const std::int32_t key = scratch.keys[i];
    const std::uint32_t accumulator = scratch.accumulators[i];
    const int shift = row.exponent + keys.exponents[static_cast<std::size_t>(key)];
    const std::uint32_t probability = probability_units(accumulator, shift);
    const std::uint32_t threshold = edge_threshold(call.law, probability, call.exploration);
    const std::uint64_t weight = cell_weight(row, sums, key, accumulator);
    const bool is_kept =
        keeps_arrival(scratch.uniforms[i], weight, std::max<std::uint32_t>(threshold, 1),
                      plan.fraction_bits, plan.inverse_factor, call.exploration);
    edges[count] = {key,
                    edge_gate(call.law, threshold, is_saturated(probability, call.exploration))};
    count += static_cast<std::size_t>(is_kept && threshold != 0);
  }
  edges.resize(count);
  const auto before = [](const LinearEdge& a, const LinearEdge& b) { return a.column < b.column; };
  const auto equal = [](const LinearEdge& a, const LinearEdge& b) { return a.column == b.column; };
  std::sort(edges.begin(), edges.end(), before);
  edges.erase(std::unique(edges.begin(), edges.end(), equal), edges.end());
}

}  // namespace sbm::kernels::cpu
