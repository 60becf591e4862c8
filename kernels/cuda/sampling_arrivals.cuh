#pragma once

#include <cstdint>

#include "kernels/cuda/sampling_call.h"
#include "kernels/cuda/sampling_cells.cuh"
#include "kernels/cuda/sampling_set.cuh"
#include "kernels/sampler_counters.h"
#include "kernels/sampler_process.h"

// The processes of docs/sampler.md, section 8, drawn by a group of lanes: each lane has every
// eighth arrival, and positions are a scan over the gaps.
namespace sbm::kernels::cuda {

/// A row that takes the linear branch, as its group sees it.
struct LinearRow {
  std::int64_t graph;
  std::int32_t row;
  bool active;                   ///< false: the group only keeps step
  int exponent;                  ///< R
  std::uint32_t inverse_factor;  ///< v
  KeyScale scale;
  /// Shared [clusters]: running sums of W_ic G_c, this cluster's included.
  std::uint64_t* running;
};

/// Fills row.running; by all lanes of a warp, whose groups may have different rows. Returns A.
__device__ __forceinline__ std::uint64_t sum_clusters(const SamplingCall& call,
                                                      const LinearRow& row) {
  std::uint64_t before = 0;
  for (std::int32_t first = 0; first < call.clusters; first += kGroupLanes) {
    const std::int32_t c = first + group_lane();
    std::uint64_t sum = 0;
    if (row.active && c < call.clusters) {
      const EntryBytes* weights = call.weight_row(row.graph, row.row);
      sum = unit_entry(weights[c / kUnitEntries], c % kUnitEntries) *
            call.sums(row.graph, c)[call.strips()];
    }
    sum = before + lanes_scan<kGroupLanes>(sum);
    if (c < call.clusters) row.running[c] = sum;
    before = __shfl_sync(kWholeWarp, sum, kGroupLanes - 1, kGroupLanes);
  }
  __syncwarp();
  return before;
}

/// The largest index of [0, count) with values[index] <= limit; values[0] is.
template <class Number, class Limit>
__device__ __forceinline__ std::int32_t last_not_above(const Number* values, std::int32_t count,
                                                       Limit limit) {
  std::int32_t low = 0;
  std::int32_t high = count;
  while (high - low > 1) {
    const std::int32_t middle = (low + high) / 2;
    if (values[middle] <= limit) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

/// The key at position `position` of the cluster process.
__device__ __forceinline__ std::int32_t cluster_key(const SamplingCall& call, const LinearRow& row,
                                                    std::uint64_t position) {
  // The first cluster whose running sum exceeds the position.
  std::int32_t low = -1;
  std::int32_t c = call.clusters - 1;
  while (c - low > 1) {
    const std::int32_t middle = (low + c) / 2;
    if (row.running[middle] > position) {
      c = middle;
    } else {
      low = middle;
    }
  }
  const std::uint64_t begin = c == 0 ? 0 : row.running[c - 1];
  const int unit = c / kUnitEntries;
  const int entry = c % kUnitEntries;
  const std::uint32_t weight = unit_entry(call.weight_row(row.graph, row.row)[unit], entry);
  const std::uint64_t offset = (position - begin) / weight;

  const std::uint64_t* sums = call.sums(row.graph, c);
  const std::int32_t strip = last_not_above(sums, call.strips() + 1, offset);
  std::uint64_t sum = sums[strip];
  std::int32_t key = strip * kStripKeys;
  for (;; ++key) {
    const std::uint32_t k = unit_entry(call.key_row(row.graph, key)[unit], entry);
    const int key_exponent = call.out.key_exponents[row.graph * call.keys + key];
    if (k != 0) sum += row.scale.proposal_scale(key_exponent).weight(k);
    if (sum > offset) return key;
  }
}

/// The valid key of this number, counted from 0.
__device__ __forceinline__ std::int32_t valid_key(const SamplingCall& call, std::int64_t batch,
                                                  std::uint32_t number) {
  const std::uint32_t* before = call.keys_before + batch * (call.key_tiles + 1);
  const std::int32_t tile = last_not_above(before, call.key_tiles, number);
  std::uint64_t bits = call.key_bits[batch * call.key_tiles + tile];
  for (std::uint32_t skip = number - before[tile]; skip > 0; --skip) bits &= bits - 1;
  return tile * kMaskTile + __ffsll(static_cast<long long>(bits)) - 1;
}

/// Whether an arrival at `key` with this uniform becomes an edge.
__device__ __forceinline__ bool keeps(const SamplingCall& call, const LinearRow& row,
                                      std::int32_t key, std::uint64_t uniform) {
  if (key == row.row && call.self_loops != SelfLoops::kNone) return false;
  const EntryBytes* weights = call.weight_row(row.graph, row.row);
  const EntryBytes* entries = call.key_row(row.graph, key);
  const int key_exponent = call.out.key_exponents[row.graph * call.keys + key];
  const std::uint32_t accumulator = cell_accumulator(weights, entries, call.units);
  const std::uint32_t threshold = edge_threshold(
      call.law, probability_units(accumulator, row.exponent + key_exponent), call.exploration);
  if (threshold == 0) return false;
  const ProposalScale scale = row.scale.proposal_scale(key_exponent);
  std::uint64_t weight = std::uint64_t{accumulator} << scale.left;
  if (scale.right != 0) {
    weight = 0;
    for (std::int32_t c = 0; c < call.clusters; ++c) {
      const std::uint64_t w = unit_entry(weights[c / kUnitEntries], c % kUnitEntries);
      weight += w * scale.weight(unit_entry(entries[c / kUnitEntries], c % kUnitEntries));
    }
  }
  const int fraction_bits = 32 + row.exponent + row.scale.least_exponent + row.scale.scale_bits;
  return keeps_arrival(uniform, weight, threshold, fraction_bits, row.inverse_factor,
                       call.exploration);
}

/// Calls edge(key) on some lane of the group for every arrival that is kept; a key may come more
/// than once. By all lanes of a warp, whose groups may have different rows.
template <class Edge>
__device__ __forceinline__ void draw_linear_row(const SamplingCall& call, const LinearRow& row,
                                                const Edge& edge) {
  const PhiloxKey stream = call.mask_keys[row.graph];
  const std::uint64_t cluster_total = sum_clusters(call, row);
  const int fraction_bits = 32 + row.exponent + row.scale.least_exponent + row.scale.scale_bits;
#pragma unroll 1
  for (std::uint32_t tag = kClusterProcess; tag <= kExplorationProcess; ++tag) {
    const bool clusters = tag == kClusterProcess;
    if (!clusters && call.exploration == 0) break;
    const std::uint64_t total =
        clusters ? cluster_total : std::uint64_t{call.exploration} * row.scale.valid_keys;
    const Process process(row.active ? total : 0, clusters ? fraction_bits : 32,
                          row.inverse_factor);
    std::uint64_t position = 0;
    for (std::uint32_t first = 0;; first += kGroupLanes) {
      const bool running = position < process.end;
      if (!__any_sync(kWholeWarp, running)) break;
      std::uint64_t gap = process.end;
      std::uint64_t uniform = 0;
      if (running) {
        const PhiloxBlock block = philox4x32<kSamplerPhiloxRounds>(
            {static_cast<std::uint32_t>(row.row), first + static_cast<std::uint32_t>(group_lane()),
             tag, kLinearTag},
            stream);
        gap = process.gap(wide_word(block, 0));
        if (gap > process.end) gap = process.end;
        uniform = wide_word(block, 1);
      }
      // Nothing is lost where a sum stops at the end: whoever is there has left the process.
      const std::uint64_t through = lanes_scan<kGroupLanes>(gap, process.end);
      const std::uint64_t mine =
          through > process.end - position ? process.end : position + through;
      if (running && mine < process.end) {
        const std::uint64_t place = mine >> process.position_bits;
        const std::int32_t key =
            clusters ? cluster_key(call, row, place)
                     : valid_key(call, row.graph / call.heads,
                                 static_cast<std::uint32_t>(place / call.exploration));
        if (keeps(call, row, key, uniform)) edge(key);
      }
      position = __shfl_sync(kWholeWarp, mine, kGroupLanes - 1, kGroupLanes);
    }
  }
}

}  // namespace sbm::kernels::cuda
