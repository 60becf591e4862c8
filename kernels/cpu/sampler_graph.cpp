#include "kernels/cpu/sampler_graph.h"

#include <algorithm>
#include <cstddef>

#include "kernels/cpu/sampler_probes.h"
#include "kernels/sampler_quantize.h"
#include "kernels/sampler_threshold.h"

namespace sbm::kernels::cpu {
namespace {

constexpr std::size_t size(std::int64_t count) { return static_cast<std::size_t>(count); }

}  // namespace

void HeadBlock::pack(const float* block_matrix, std::int64_t clusters) {
  columns.count = clusters;
  columns.clusters = clusters;
  const std::int64_t stride = entry_stride(clusters);
  exponents.resize(size(stride));
  std::vector<std::uint16_t> entries(size(clusters * stride));
  for (std::int64_t c = 0; c < clusters; ++c) {
    exponents[size(c)] =
        quantize_block_column(block_matrix + c, clusters, clusters, entries.data() + c * stride);
  }
  pack_tiles(entries.data(), stride, TileOrder::kNatural, columns);
}

void GraphSampler::begin(const SamplingParams& params, std::int64_t batch, std::int64_t head,
                         const HeadBlock& block) {
  params_ = &params;
  block_ = &block;
  const std::int64_t graph = batch * params.heads + head;
  query_membership_ = params.query_membership + graph * params.queries * params.clusters;
  key_membership_ = params.key_membership + graph * params.keys * params.clusters;
  query_valid_ =
      params.query_valid != nullptr ? params.query_valid + batch * params.queries : nullptr;
  key_valid_ = params.key_valid != nullptr ? params.key_valid + batch * params.keys : nullptr;
  stream_ = params.mask_keys[graph];
  probe_stream_ = params.probe_keys != nullptr ? params.probe_keys[graph] : 0;
  exploration_ = exploration_units(params.exploration);

  stride_ = entry_stride(params.clusters);
  exponents_.resize(size(params.keys));
  entries_.reserve(size(params.keys * stride_));
}

bool GraphSampler::quantize_keys(std::int64_t first, std::int64_t last) {
  return quantize_rows(key_membership_ + first * params_->clusters,
                       key_valid_ != nullptr ? key_valid_ + first : nullptr, last - first,
                       params_->clusters, stride_, entries_.data() + first * stride_,
                       exponents_.data() + first);
}

void GraphSampler::prepare(CellForm form) {
  keys_ = {.clusters = params_->clusters,
           .stride = stride_,
           .exponents = exponents_,
           .entries = entries_.data(),
           .valid = key_valid_};
  cells_.prepare(keys_, stream_, params_->law, exploration_, form);
  sums_.prepare(keys_);
}

bool GraphSampler::query_valid(std::int64_t row) const {
  return query_valid_ == nullptr || query_valid_[row] != 0;
}

bool GraphSampler::diagonal_valid(std::int64_t row) const {
  return row < params_->keys && query_valid(row) && (key_valid_ == nullptr || key_valid_[row] != 0);
}

WeightRow GraphSampler::weight_row(int member, const SamplerScratch& scratch) {
  return {.weights = scratch.weights[member], .exponent = scratch.row_exponents[member]};
}

bool GraphSampler::weigh_rows(std::int64_t first, int count, SamplerScratch& scratch) const {
  const std::int64_t clusters = params_->clusters;
  if (!quantize_rows(query_membership_ + first * clusters,
                     query_valid_ != nullptr ? query_valid_ + first : nullptr, count, clusters,
                     kWeightStride, scratch.queries[0], scratch.query_exponents)) {
    return false;
  }
  const std::uint16_t* rows[kGroupRows];
  for (int i = 0; i < kGroupRows; ++i) rows[i] = scratch.queries[std::min(i, count - 1)];
  multiply_rows(rows, count, block_->columns, scratch.products[0]);
  requantize_rows(scratch.products[0], count, block_->exponents.data(), clusters,
                  scratch.query_exponents, scratch.weights[0], scratch.row_exponents);
  return true;
}

void GraphSampler::draw_cells(std::int64_t first, int count, const RowPlan* plans,
                              SamplerScratch& scratch) {
  const std::int64_t blocks = cells_.blocks();
  CellRow rows[kGroupRows];
  std::size_t used = 0;
  for (int i = 0; i < count; ++i) {
    if (plans[i].linear || !query_valid(first + i)) continue;
    rows[used++] = {.number = static_cast<std::uint32_t>(first + i),
                    .weights = weight_row(i, scratch),
                    .expected = static_cast<float>(plans[i].expected) * 0x1p-32F,
                    .may_saturate = plans[i].bound >= kLargestThreshold,
                    .edges = scratch.edges.data() + i * blocks,
                    .saturated = scratch.saturated.data() + i * blocks,
                    .thresholds = params_->law == MaskLaw::kPoisson
                                      ? scratch.thresholds.data() + i * params_->keys
                                      : nullptr};
  }
  if (used > 0) cells_.draw({rows, used}, scratch.forms);
}

void GraphSampler::append_cells(std::int64_t row, int member, SamplerScratch& scratch,
                                DrawnRows& rows) const {
  EdgeList& list = *rows.list;
  const std::int64_t blocks = cells_.blocks();
  std::uint64_t* edges = scratch.edges.data() + member * blocks;
  std::uint64_t* saturated = scratch.saturated.data() + member * blocks;
  bool forced = false;
  if (params_->self_loops != SelfLoops::kNone && diagonal_valid(row)) {
    const std::uint64_t bit = std::uint64_t{1} << (row % kBlockKeys);
    edges[row / kBlockKeys] &= ~bit;
    saturated[row / kBlockKeys] &= ~bit;
    if (params_->self_loops == SelfLoops::kAdd) {
      forced = true;
      edges[row / kBlockKeys] |= bit;
    }
  }
  const std::int64_t count = list_columns(edges, blocks, scratch.columns.data());
  const std::int32_t* columns = scratch.columns.data();
  const bool poisson = params_->law == MaskLaw::kPoisson;
  const bool any_saturated =
      std::any_of(saturated, saturated + blocks, [](std::uint64_t word) { return word != 0; });
  if (poisson || any_saturated || !list.gates.empty()) {
    open_gates(list, rows.first_row);
    const std::size_t begin = list.gates.size();
    list.gates.resize(begin + size(count));
    float* gates = list.gates.data() + begin;
    // Only POISSON keeps thresholds.
    const std::uint32_t* thresholds =
        poisson ? scratch.thresholds.data() + member * params_->keys : nullptr;
    for (std::int64_t edge = 0; edge < count; ++edge) {
      const std::int64_t key = columns[edge];
      const bool is_forced = forced && key == row;
      const bool is_saturated = (saturated[key / kBlockKeys] >> (key % kBlockKeys) & 1) != 0;
      const std::uint32_t threshold = poisson ? thresholds[key] : kLargestThreshold;
      gates[edge] = edge_gate(params_->law, threshold, is_forced || is_saturated);
      rows.closed_gates += !is_forced && gates[edge] != 1.0F ? 1 : 0;
    }
  }
  list.columns.insert(list.columns.end(), columns, columns + count);
  list.drawn_edges += count - (forced ? 1 : 0);
  list.forced_edges += forced ? 1 : 0;
}

void GraphSampler::append_linear(std::int64_t row, int member, const RowPlan& plan,
                                 SamplerScratch& scratch, DrawnRows& rows) const {
  EdgeList& list = *rows.list;
  std::vector<LinearEdge>& edges = scratch.linear_edges;
  const LinearRow call = {.law = params_->law,
                          .exploration = exploration_,
                          .stream = stream_,
                          .row = static_cast<std::uint32_t>(row),
                          .excluded_key = params_->self_loops == SelfLoops::kNone ? -1 : row};
  draw_linear_row(call, weight_row(member, scratch), plan, sums_, scratch.linear, edges);
  list.drawn_edges += std::ssize(edges);
  bool gated = params_->law == MaskLaw::kPoisson || !list.gates.empty();
  for (const LinearEdge& edge : edges) {
    if (edge.gate == 1.0F) continue;
    ++rows.closed_gates;
    gated = true;
  }
  if (gated) open_gates(list, rows.first_row);
  const auto append = [&](std::int32_t column, float gate) {
    list.columns.push_back(column);
    if (gated) list.gates.push_back(gate);
  };
  bool forced = params_->self_loops == SelfLoops::kAdd && diagonal_valid(row);
  list.forced_edges += forced ? 1 : 0;
  for (const LinearEdge& edge : edges) {
    if (forced && edge.column > row) {
      append(static_cast<std::int32_t>(row), 0.0F);
      forced = false;
    }
    append(edge.column, edge.gate);
  }
  if (forced) append(static_cast<std::int32_t>(row), 0.0F);
}

void GraphSampler::reserve_edges(const RowPlan* plans, int count, std::int64_t rows,
                                 EdgeList& list) const {
  double expected = 0.0;
  for (int i = 0; i < count; ++i) expected += static_cast<double>(plans[i].expected) * 0x1p-32;
  // A wrong guess must not ask for what the machine does not have.
  constexpr double kMostReserved = 1 << 24;
  constexpr double kRoom = 1.1;
  const double edges = kRoom * expected / count * static_cast<double>(rows);
  list.row_offsets.reserve(size(rows + 1));
  list.columns.reserve(static_cast<std::size_t>(std::min(edges, kMostReserved)));
}

bool GraphSampler::draw(std::int64_t first, std::int64_t last, SamplerScratch& scratch,
                        DrawnRows& rows) {
  const std::int64_t blocks = cells_.blocks();
  scratch.edges.resize(size(kGroupRows * blocks));
  scratch.saturated.resize(size(kGroupRows * blocks));
  scratch.columns.resize(size(blocks * kBlockKeys + kColumnSlack));
  if (params_->law == MaskLaw::kPoisson) {
    scratch.thresholds.resize(size(kGroupRows * params_->keys));
  }
  EdgeList& list = *rows.list;
  start_list(*params_, list);
  rows.first_row = first;
  rows.closed_gates = 0;

  // Without keys there is nothing to draw, and no least exponent to choose a kernel by.
  const bool has_keys = sums_.valid_keys() > 0;
  for (std::int64_t begin = first; begin < last; begin += kGroupRows) {
    const int count = static_cast<int>(std::min<std::int64_t>(kGroupRows, last - begin));
    if (!weigh_rows(begin, count, scratch)) return false;
    RowPlan plans[kGroupRows];
    for (int i = 0; i < count; ++i) {
      plans[i] = plan_row(weight_row(i, scratch), sums_, params_->law, exploration_);
    }
    if (begin == first) reserve_edges(plans, count, last - first, list);
    if (has_keys) draw_cells(begin, count, plans, scratch);
    for (int i = 0; i < count; ++i) {
      const std::int64_t row = begin + i;
      if (has_keys && query_valid(row)) {
        list.valid_cells += sums_.valid_keys();
        if (plans[i].linear) {
          append_linear(row, i, plans[i], scratch, rows);
        } else {
          append_cells(row, i, scratch, rows);
        }
      }
      if (params_->probe_keys != nullptr) {
        if (has_keys && query_valid(row)) append_row_probes(row, i, scratch, list);
        list.probes.row_offsets.push_back(std::ssize(list.probes.columns));
      }
      list.row_offsets.push_back(std::ssize(list.columns));
    }
  }
  return true;
}

void GraphSampler::append_row_probes(std::int64_t row, int member, const SamplerScratch& scratch,
                                     EdgeList& list) const {
  append_probes({.law = params_->law,
                 .exploration = exploration_,
                 .probe_key = probe_stream_,
                 .probe_rate = params_->probe_rate,
                 .number = static_cast<std::uint32_t>(row),
                 .excluded_key = params_->self_loops == SelfLoops::kNone ? -1 : row,
                 .weights = weight_row(member, scratch)},
                keys_, list.row_offsets.back(), list);
}

void start_list(const SamplingParams& params, EdgeList& list) {
  list.row_offsets.assign(1, 0);
  list.columns.clear();
  list.gates.clear();
  list.probabilities.clear();
  list.probes.row_offsets.clear();
  if (params.probe_keys != nullptr) list.probes.row_offsets.push_back(0);
  list.probes.columns.clear();
  list.probes.gates.clear();
  list.probes.probabilities.clear();
  list.diagonal_forced = params.self_loops == SelfLoops::kAdd;
  list.drawn_edges = 0;
  list.forced_edges = 0;
  list.valid_cells = 0;
}

void open_gates(EdgeList& list, std::int64_t first_row) {
  if (list.gates.size() == list.columns.size()) return;
  list.gates.assign(list.columns.size(), 1.0F);
  if (!list.diagonal_forced) return;
  for (std::size_t i = 0; i + 1 < list.row_offsets.size(); ++i) {
    const auto begin = list.columns.begin() + list.row_offsets[i];
    const auto end = list.columns.begin() + list.row_offsets[i + 1];
    const auto diagonal = static_cast<std::int32_t>(first_row + static_cast<std::int64_t>(i));
    const auto edge = std::lower_bound(begin, end, diagonal);
    if (edge != end && *edge == diagonal) list.gates[size(edge - list.columns.begin())] = 0.0F;
  }
}

}  // namespace sbm::kernels::cpu
