#include "kernels/cpu/sampler_probes.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/sampler_rows.h"
#include "kernels/sampler_probe.h"
#include "kernels/sampler_threshold.h"

namespace sbm::kernels::cpu {
namespace {

constexpr std::int64_t kChunk = 256;

/// Calls each(probability in units of 2^-32, threshold) for the cells of the row, in order.
template <typename Each>
void for_each_cell(const ProbedRow& row, const QuantizedKeys& keys, const std::int32_t* columns,
                   std::int64_t count, const Each& each) {
  std::uint32_t accumulators[kChunk];
  for (std::int64_t begin = 0; begin < count; begin += kChunk) {
    const std::int64_t size = std::min(kChunk, count - begin);
    accumulate_keys(row.weights.weights, keys, columns + begin, size, accumulators);
    for (std::int64_t i = 0; i < size; ++i) {
      const auto key = static_cast<std::size_t>(columns[begin + i]);
      const std::uint32_t probability =
          probability_units(accumulators[i], row.weights.exponent + keys.exponents[key]);
      each(probability, edge_threshold(row.law, probability, row.exploration));
    }
  }
}

float as_probability(std::uint32_t threshold) { return static_cast<float>(threshold) * 0x1p-32F; }

}  // namespace

void append_probes(const ProbedRow& row, const QuantizedKeys& keys, std::int64_t first_edge,
                   EdgeList& list) {
  const auto edges = list.columns.begin() + first_edge;
  for_each_cell(row, keys, list.columns.data() + first_edge, list.columns.end() - edges,
                [&](std::uint32_t /*probability*/, std::uint32_t threshold) {
                  list.probabilities.push_back(as_probability(threshold));
                });
  std::vector<std::int32_t> probes =
      probed_columns(row.probe_key, row.number, keys.count(), row.probe_rate);
  auto edge = edges;
  std::erase_if(probes, [&](std::int32_t key) {
    while (edge != list.columns.end() && *edge < key) ++edge;
    const bool is_edge = edge != list.columns.end() && *edge == key;
    return is_edge || key == row.excluded_key || !keys.is_valid(key);
  });
  for_each_cell(row, keys, probes.data(), std::ssize(probes),
                [&](std::uint32_t probability, std::uint32_t threshold) {
                  list.probes.probabilities.push_back(as_probability(threshold));
                  list.probes.gates.push_back(
                      edge_gate(row.law, threshold, is_saturated(probability, row.exploration)));
                });
  list.probes.columns.insert(list.probes.columns.end(), probes.begin(), probes.end());
}

}  // namespace sbm::kernels::cpu
