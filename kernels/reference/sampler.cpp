#include "kernels/reference/sampler.h"

#include <algorithm>
#include <cmath>

#include "kernels/sampler_check.h"
#include "kernels/sampler_counters.h"
#include "kernels/sampler_probe.h"
#include "kernels/sampler_quantize.h"
#include "kernels/sampler_threshold.h"

namespace sbm::kernels::reference {
namespace {

std::vector<std::uint8_t> valid_tokens(const std::uint8_t* valid, std::int64_t batch,
                                       std::int64_t tokens) {
  std::vector<std::uint8_t> result(static_cast<std::size_t>(tokens), 1);
  if (valid != nullptr) std::copy_n(valid + batch * tokens, tokens, result.begin());
  return result;
}

}  // namespace

SampledGraph::SampledGraph(const SamplingParams& params, std::int64_t batch, std::int64_t head)
    : queries_(params.queries),
      keys_(params.keys),
      clusters_(params.clusters),
      law_(params.law),
      self_loops_(params.self_loops),
      exploration_(exploration_units(params.exploration)),
      probe_rate_(params.probe_rate),
      mask_key_(params.mask_keys[batch * params.heads + head]),
      has_probe_key_(params.probe_keys != nullptr),
      probe_key_(params.probe_keys != nullptr ? params.probe_keys[batch * params.heads + head] : 0),
      query_valid_(valid_tokens(params.query_valid, batch, queries_)),
      key_valid_(valid_tokens(params.key_valid, batch, keys_)),
      weights_(static_cast<std::size_t>(queries_ * clusters_)),
      row_exponents_(static_cast<std::size_t>(queries_)),
      key_entries_(static_cast<std::size_t>(keys_ * clusters_)),
      key_exponents_(static_cast<std::size_t>(keys_)),
      linear_([&] {
        const float* memberships =
            params.key_membership + (batch * params.heads + head) * keys_ * clusters_;
        for (std::int64_t j = 0; j < keys_; ++j) {
          if (key_valid_[static_cast<std::size_t>(j)] == 0) continue;
          key_exponents_[static_cast<std::size_t>(j)] =
              static_cast<std::uint8_t>(quantize_membership(
                  {memberships + j * clusters_, static_cast<std::size_t>(clusters_)},
                  key_entries_.data() + j * clusters_));
        }
        return LinearBranch(keys(), law_, exploration_);
      }()) {
  const auto clusters = static_cast<std::size_t>(clusters_);
  std::vector<std::uint16_t> block(clusters * clusters);  // column by column
  std::vector<std::int32_t> block_exponents(clusters);
  for (std::size_t c = 0; c < clusters; ++c) {
    block_exponents[c] =
        quantize_block_column(params.block_matrix + head * clusters_ * clusters_ + c, clusters_,
                              clusters_, block.data() + c * clusters);
  }

  const float* memberships =
      params.query_membership + (batch * params.heads + head) * queries_ * clusters_;
  std::vector<std::uint16_t> query(clusters);
  std::vector<std::uint32_t> product(clusters);
  for (std::int64_t i = 0; i < queries_; ++i) {
    if (query_valid_[static_cast<std::size_t>(i)] == 0) continue;
    const int exponent = quantize_membership({memberships + i * clusters_, clusters}, query.data());
    for (std::size_t c = 0; c < clusters; ++c) {
      product[c] = accumulate(query.data(), block.data() + c * clusters, clusters_);
    }
    row_exponents_[static_cast<std::size_t>(i)] =
        quantize_weights(product, block_exponents, exponent, weights_.data() + i * clusters_);
  }
}

QuantizedKeys SampledGraph::keys() const {
  return {.clusters = clusters_,
          .stride = clusters_,
          .exponents = key_exponents_,
          .entries = key_entries_.data(),
          .valid = key_valid_.data()};
}

WeightRow SampledGraph::weight_row(std::int64_t row) const {
  return {.weights = weights_.data() + row * clusters_,
          .exponent = row_exponents_[static_cast<std::size_t>(row)]};
}

bool SampledGraph::is_valid(std::int64_t row, std::int64_t key) const {
  return query_valid_[static_cast<std::size_t>(row)] != 0 &&
         key_valid_[static_cast<std::size_t>(key)] != 0;
}

bool SampledGraph::is_drawn(std::int64_t row, std::int64_t key) const {
  return is_valid(row, key) && (self_loops_ == SelfLoops::kNone || row != key);
}

double SampledGraph::quantized_probability(std::int64_t row, std::int64_t key) const {
  if (!is_valid(row, key)) return 0.0;
  const WeightRow weights = weight_row(row);
  return std::ldexp(accumulate(weights.weights, keys().row(key), clusters_),
                    -32 - weights.exponent - key_exponents_[static_cast<std::size_t>(key)]);
}

std::uint32_t SampledGraph::probability(std::int64_t row, std::int64_t key) const {
  const WeightRow weights = weight_row(row);
  return probability_units(accumulate(weights.weights, keys().row(key), clusters_),
                           weights.exponent + key_exponents_[static_cast<std::size_t>(key)]);
}

std::uint32_t SampledGraph::threshold(std::int64_t row, std::int64_t key) const {
  return is_valid(row, key) ? edge_threshold(law_, probability(row, key), exploration_) : 0;
}

float SampledGraph::gate(std::int64_t row, std::int64_t key) const {
  return edge_gate(law_, threshold(row, key), is_saturated(probability(row, key), exploration_));
}

bool SampledGraph::is_linear(std::int64_t row) const { return linear_.takes(weight_row(row)); }

std::vector<std::int64_t> SampledGraph::every_cell_row(std::int64_t row) const {
  std::vector<std::int64_t> edges;
  for (std::int64_t key = 0; key < keys_; ++key) {
    if (!is_drawn(row, key)) continue;
    const auto i = static_cast<std::uint32_t>(row);
    const auto j = static_cast<std::uint32_t>(key);
    const std::uint32_t t = threshold(row, key);
    const std::uint32_t high = high_bits(mask_key_, i, j);
    const bool is_edge =
        high != t >> 16 ? high < t >> 16 : low_bits(mask_key_, i, j) < (t & 0xFFFF);
    if (is_edge) edges.push_back(key);
  }
  return edges;
}

std::vector<std::int64_t> SampledGraph::linear_row(std::int64_t row) const {
  return linear_.draw(
      weight_row(row), static_cast<std::uint32_t>(row), mask_key_,
      [&](std::int64_t key) { return is_drawn(row, key) ? threshold(row, key) : 0; });
}

EdgeList SampledGraph::sample() const {
  EdgeList graph;
  graph.diagonal_forced = self_loops_ == SelfLoops::kAdd;
  graph.row_offsets.push_back(0);
  if (has_probe_key_) graph.probes.row_offsets.push_back(0);
  for (std::int64_t i = 0; i < queries_; ++i) {
    std::vector<std::int64_t> edges;
    if (query_valid_[static_cast<std::size_t>(i)] != 0) {
      graph.valid_cells += linear_.valid_keys();
      edges = is_linear(i) ? linear_row(i) : every_cell_row(i);
    }
    graph.drawn_edges += std::ssize(edges);
    const bool forced = self_loops_ == SelfLoops::kAdd && i < keys_ && is_valid(i, i);
    if (forced) {
      ++graph.forced_edges;
      edges.insert(std::upper_bound(edges.begin(), edges.end(), i), i);
    }
    for (const std::int64_t key : edges) {
      graph.columns.push_back(static_cast<std::int32_t>(key));
      graph.gates.push_back(forced && key == i ? 0.0F : gate(i, key));
      if (has_probe_key_) graph.probabilities.push_back(drawing_probability(i, key));
    }
    graph.row_offsets.push_back(std::ssize(graph.columns));
    if (has_probe_key_) add_probes(i, edges, graph.probes);
  }
  // Gates that follow from the edges alone are not kept.
  const auto closed = std::count_if(graph.gates.begin(), graph.gates.end(),
                                    [](float gate) { return gate != 1.0F; });
  if (closed == graph.forced_edges) graph.gates.clear();
  return graph;
}

float SampledGraph::drawing_probability(std::int64_t row, std::int64_t key) const {
  return static_cast<float>(threshold(row, key)) * 0x1p-32F;
}

void SampledGraph::add_probes(std::int64_t row, const std::vector<std::int64_t>& edges,
                              ProbeList& list) const {
  if (query_valid_[static_cast<std::size_t>(row)] != 0) {
    for (const std::int32_t key : probes(row)) {
      if (std::binary_search(edges.begin(), edges.end(), key)) continue;
      list.columns.push_back(key);
      list.probabilities.push_back(drawing_probability(row, key));
      list.gates.push_back(gate(row, key));
    }
  }
  list.row_offsets.push_back(std::ssize(list.columns));
}

std::vector<std::int32_t> SampledGraph::probes(std::int64_t row) const {
  std::vector<std::int32_t> columns =
      probed_columns(probe_key_, static_cast<std::uint32_t>(row), keys_, probe_rate_);
  std::erase_if(columns, [&](std::int32_t key) { return !is_drawn(row, key); });
  return columns;
}

Status sample_edges(const SamplingParams& params, std::span<EdgeList> graphs) {
  if (Status status = check_sampling(params, graphs.size()); !status.ok()) return status;
  if (Status status = check_sampling_values(params); !status.ok()) return status;
  for (std::int64_t batch = 0; batch < params.batch; ++batch) {
    for (std::int64_t head = 0; head < params.heads; ++head) {
      graphs[static_cast<std::size_t>(batch * params.heads + head)] =
          SampledGraph(params, batch, head).sample();
    }
  }
  return {};
}

}  // namespace sbm::kernels::reference
