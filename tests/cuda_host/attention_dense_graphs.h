#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "cuda_host/device_buffer.h"
#include "kernels/cuda/attention.h"
#include "kernels/cuda/mask_layout.h"
#include "kernels/cuda/sampling_operands.h"
#include "kernels/edge_list.h"
#include "kernels/reference/sampler.h"
#include "tests/cuda_host/attention_dense_spec.h"
#include "tests/kernels/sampler_problem.h"

// What the dense-masked path gets of its graphs: masks and integers of the reference sampler.
namespace sbm::kernels::cuda {

/// The graphs of a problem, drawn by the reference, here and on the device.
class DrawnDenseGraphs {
 public:
  explicit DrawnDenseGraphs(const DenseSpec& spec) : spec_(spec) {
    make_memberships();
    if (spec_.padded) pad();
    sampling_.point();
    draw();
    query_membership_ = DeviceBuffer<float>(sampling_.query, "query_membership");
    key_membership_ = DeviceBuffer<float>(sampling_.key, "key_membership");
  }

  [[nodiscard]] const reference::SampledGraph& sampler(std::int64_t g) const {
    return samples_[static_cast<std::size_t>(g)];
  }
  [[nodiscard]] const EdgeList& edges(std::int64_t g) const {
    return edges_[static_cast<std::size_t>(g)];
  }
  /// Qhat and Khat [graphs, tokens, clusters], here and on the device.
  [[nodiscard]] const std::vector<float>& query_values() const { return sampling_.query; }
  [[nodiscard]] const std::vector<float>& key_values() const { return sampling_.key; }
  [[nodiscard]] const float* query_membership() const { return query_membership_.data(); }
  [[nodiscard]] const float* key_membership() const { return key_membership_.data(); }

  /// What the kernels get where they own the graphs of `work`.
  [[nodiscard]] DenseGraphs listed(const WorkList& work) const {
    DenseGraphs graphs;
    graphs.work = work;
    graphs.mask = mask_.data();
    graphs.probe_mask = needs_probe_mask() ? probe_mask_.data() : nullptr;
    graphs.law = {.law = spec_.law,
                  .self_loops = spec_.self_loops,
                  .exploration = spec_.exploration,
                  .weights = weights_.data(),
                  .row_exponents = row_exponents_.data(),
                  .key_entries = key_entries_.data(),
                  .key_exponents = key_exponents_.data(),
                  .query_valid = spec_.padded ? query_valid_.data() : nullptr,
                  .key_valid = spec_.padded ? key_valid_.data() : nullptr};
    return graphs;
  }

 private:
  [[nodiscard]] bool needs_probe_mask() const {
    return spec_.probe_rate > 0.0 && spec_.probe_rate < 1.0;
  }

  void set_bit(std::vector<std::uint64_t>& mask, std::int64_t g, std::int64_t i,
               std::int64_t j) const {
    const std::int64_t word =
        g * mask_words(spec_.queries, spec_.keys) + mask_word(spec_.keys, i, j);
    mask[static_cast<std::size_t>(word)] |= std::uint64_t{1}
                                            << column_to_bit(static_cast<int>(j % kMaskTile));
  }

  void make_memberships() {
    sampling_ = testing::mixed_problem(spec_.seed, spec_.batch, spec_.heads, spec_.queries,
                                       spec_.keys, spec_.clusters, spec_.mass);
    SamplingParams& params = sampling_.params;
    params.law = spec_.law;
    params.self_loops = spec_.self_loops;
    params.exploration = spec_.exploration;
    params.probe_rate = spec_.probe_rate;
    // Some queries hardly have edges, and some none but a forced one.
    for (std::int64_t i = 0; i < spec_.batch * spec_.heads * spec_.queries; ++i) {
      const float factor = i % 7 == 3 ? 0.0F : i % 7 == 5 ? 0.03F : 1.0F;
      for (std::int64_t c = 0; c < spec_.clusters; ++c) {
        sampling_.query[static_cast<std::size_t>(i * spec_.clusters + c)] *= factor;
      }
    }
  }

  void pad() {
    std::mt19937_64 generator(spec_.seed + 1);
    for (auto* valid : {&sampling_.query_valid, &sampling_.key_valid}) {
      const std::int64_t tokens = valid == &sampling_.query_valid ? spec_.queries : spec_.keys;
      for (std::int64_t b = 0; b < spec_.batch; ++b) {
        // The first sample has padding within and behind, later ones nothing else.
        for (std::int64_t t = 0; t < tokens; ++t) {
          valid->push_back(b == 0 && t < tokens - 9 && generator() % 8 != 0 ? 1 : 0);
        }
      }
    }
    query_valid_ = DeviceBuffer<std::uint8_t>(sampling_.query_valid, "query_valid");
    key_valid_ = DeviceBuffer<std::uint8_t>(sampling_.key_valid, "key_valid");
  }

  void draw() {
    const SamplingParams& params = sampling_.params;
    const std::int64_t count = spec_.batch * spec_.heads;
    const auto words = static_cast<std::size_t>(count * mask_words(spec_.queries, spec_.keys));
    std::vector<std::uint64_t> mask(words);
    std::vector<std::uint64_t> probe_mask(words);
    std::vector<EntryBytes> weights;
    std::vector<EntryBytes> key_entries;
    std::vector<std::int32_t> row_exponents;
    std::vector<std::uint8_t> key_exponents;
    for (std::int64_t g = 0; g < count; ++g) {
      samples_.emplace_back(params, g / spec_.heads, g % spec_.heads);
      const reference::SampledGraph& sampler = samples_.back();
      edges_.push_back(sampler.sample());
      const EdgeList& edges = edges_.back();
      const QuantizedKeys quantized = sampler.keys();
      for (std::int64_t i = 0; i < spec_.queries; ++i) {
        const auto row = static_cast<std::size_t>(i);
        for (std::int64_t e = edges.row_offsets[row]; e < edges.row_offsets[row + 1]; ++e) {
          set_bit(mask, g, i, edges.columns[static_cast<std::size_t>(e)]);
        }
        if (needs_probe_mask()) {
          for (const std::int32_t j : sampler.probes(i)) set_bit(probe_mask, g, i, j);
        }
        const WeightRow weight = sampler.weight_row(i);
        append_units(weight.weights, spec_.clusters, weights);
        row_exponents.push_back(weight.exponent);
      }
      for (std::int64_t j = 0; j < spec_.keys; ++j) {
        append_units(quantized.row(j), spec_.clusters, key_entries);
        key_exponents.push_back(quantized.exponents[static_cast<std::size_t>(j)]);
      }
    }
    mask_ = DeviceBuffer<std::uint64_t>(mask, "mask");
    probe_mask_ = DeviceBuffer<std::uint64_t>(probe_mask, "probe_mask");
    weights_ = DeviceBuffer<EntryBytes>(weights, "weights");
    key_entries_ = DeviceBuffer<EntryBytes>(key_entries, "key_entries");
    row_exponents_ = DeviceBuffer<std::int32_t>(row_exponents, "row_exponents");
    key_exponents_ = DeviceBuffer<std::uint8_t>(key_exponents, "key_exponents");
  }

  DenseSpec spec_;
  testing::Problem sampling_{1, 1, 1, 1, 1};
  std::vector<reference::SampledGraph> samples_;
  std::vector<EdgeList> edges_;
  DeviceBuffer<float> query_membership_{0}, key_membership_{0};
  DeviceBuffer<std::uint64_t> mask_{0}, probe_mask_{0};
  DeviceBuffer<EntryBytes> weights_{0}, key_entries_{0};
  DeviceBuffer<std::int32_t> row_exponents_{0};
  DeviceBuffer<std::uint8_t> key_exponents_{0}, query_valid_{0}, key_valid_{0};
};

}  // namespace sbm::kernels::cuda
