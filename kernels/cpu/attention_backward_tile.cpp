#include "kernels/cpu/attention_backward_tile.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_backward_tile.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/attention_dropout-inl.h"
#include "kernels/cpu/attention_edges-inl.h"
#include "kernels/cpu/attention_estimator-inl.h"
#include "kernels/cpu/bf16-inl.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

/// The edges of one row in a tile.
struct TileRow {
  std::int64_t index;
  std::int64_t count;
  const std::int32_t* columns;
  const float* gates;          ///< null: all open, but for the diagonal if it was forced
  const float* probabilities;  ///< q; null unless TRAPEZOID asks
  float output_gain;           ///< dO . O
  std::uint16_t* gradients;    ///< where G goes if memberships are bfloat16; else null
};

/// The values of the edges from `begin` on; zeros beyond the row's last one.
HWY_INLINE Vector load_edges(const TileRow& row, const float* values, std::int64_t begin) {
  if (begin + kLanes <= row.count) return hn::LoadU(kFloats, values + begin);
  float spare[kWidestLanes] = {};
  for (std::int64_t e = begin; e < row.count; ++e) spare[e - begin] = values[e];
  return hn::LoadU(kFloats, spare);
}

/// What the gates leave of `gradient` for the tile of edges from `begin` on.
HWY_INLINE Vector apply_gates(const TileRow& row, bool diagonal_forced,
                              const std::int32_t* tile_columns, std::int64_t begin,
                              Vector gradient) {
  if (row.gates != nullptr) return hn::Mul(gradient, load_edges(row, row.gates, begin));
  if (!diagonal_forced) return gradient;
  const hn::RebindToSigned<Floats> integers;
  const auto on_diagonal = hn::Eq(hn::LoadU(integers, tile_columns),
                                  hn::Set(integers, static_cast<std::int32_t>(row.index)));
  return hn::IfThenZeroElse(hn::RebindMask(kFloats, on_diagonal), gradient);
}

/// G of the edges from `begin` on as it is summed. Lanes beyond the row's last edge are overwritten
/// by the next row.
HWY_INLINE Vector note_gradient(const TileRow& row, std::int64_t begin, Vector gradient) {
  if (row.gradients == nullptr) return gradient;
  const bf16::Word rounded = bf16::rounded(gradient);
  bf16::store_upper_halves(rounded, row.gradients + begin);
  return hn::BitCast(kFloats, rounded);
}

/// Computes what each edge of the row passes on (kEdgeWords words) into scratch.edge_values().
template <int kVectors>
void edge_values(const BackwardHead& head, const TileRow& row, const RowScratch& scratch) {
  const hn::RebindToSigned<Floats> integers;
  const std::int64_t vectors = head.padded_dim / kLanes;
  const SharedRow<kVectors> query(head.query[row.index], vectors);
  const SharedRow<kVectors> grad_output(head.grad_output[row.index], vectors);
  const EstimatorRow constants(head, row.index, row.output_gain);
  const Vector log_sum_exp = hn::Set(kFloats, head.log_sum_exp[row.index]);
  const Vector row_bits =
      hn::BitCast(kFloats, hn::Set(integers, static_cast<std::int32_t>(row.index)));
  const bool diagonal_forced = head.cells.diagonal_forced;
  float* values = scratch.edge_values();
  std::int32_t spare[kWidestLanes];
  EdgeVector edges;
  edges.factor = edges.probability = hn::Zero(kFloats);
  for (std::int64_t begin = 0; begin < row.count; begin += kLanes) {
    const std::int32_t* columns = tile_columns(row.columns, begin, row.count, spare);
    edges.score = hn::Mul(tile_dots(query, head.key, columns), constants.scale);
    edges.value_gain = tile_dots(grad_output, head.value, columns);
    edges.weight = exponential(hn::Sub(edges.score, log_sum_exp));
    if (constants.has_dropout) edges.factor = hn::Load(kFloats, scratch.factors() + begin);
    if (constants.estimator == Estimator::kTrapezoid) {
      edges.probability = load_edges(row, row.probabilities, begin);
    }
    const EdgeGradients gradients = edge_gradients(constants, edges);
    const Vector estimate = note_gradient(
        row, begin, apply_gates(row, diagonal_forced, columns, begin, gradients.estimate));
    hn::StoreInterleaved4(gradients.grad_score, gradients.weight, estimate, row_bits, kFloats,
                          values + kEdgeWords * begin);
  }
}

/// As edge_values() for the probes of a row, which pass on G alone.
template <int kVectors>
void probe_values(const BackwardHead& head, const TileRow& row, const RowScratch& scratch) {
  const hn::RebindToSigned<Floats> integers;
  const std::int64_t vectors = head.padded_dim / kLanes;
  const SharedRow<kVectors> query(head.query[row.index], vectors);
  const SharedRow<kVectors> grad_output(head.grad_output[row.index], vectors);
  const Vector output_gain = hn::Set(kFloats, row.output_gain);
  const Vector log_sum_exp = hn::Set(kFloats, head.log_sum_exp[row.index]);
  const Vector scale = hn::Set(kFloats, head.scale);
  const Vector row_bits =
      hn::BitCast(kFloats, hn::Set(integers, static_cast<std::int32_t>(row.index)));
  const Vector zero = hn::Zero(kFloats);
  float* values = scratch.edge_values();
  std::int32_t spare[kWidestLanes];
  for (std::int64_t begin = 0; begin < row.count; begin += kLanes) {
    const std::int32_t* columns = tile_columns(row.columns, begin, row.count, spare);
    const Vector score = hn::Mul(tile_dots(query, head.key, columns), scale);
    const Vector gain = hn::Sub(tile_dots(grad_output, head.value, columns), output_gain);
    Vector gradient =
        trapezoid_of_probes(score, log_sum_exp, gain, load_edges(row, row.probabilities, begin),
                            static_cast<float>(head.estimator.probe_rate));
    gradient = note_gradient(row, begin, apply_gates(row, false, columns, begin, gradient));
    hn::StoreInterleaved4(zero, zero, gradient, row_bits, kFloats, values + kEdgeWords * begin);
  }
}

/// Sums over one list of edges that end in rows of the same width.
template <int kSums, typename Index>
HWY_INLINE void add_to_rows(RowSum (&sums)[kSums], Index index, std::int64_t count,
                            std::int64_t width, std::int64_t padded, bool add,
                            const RowScratch& scratch) {
  if (width == padded) {
    add_rows<kSums, kEdgeWords>(sums, index, count, padded / kLanes, add);
    return;
  }
  // Whole vectors would write past the end of the row.
  for (const RowSum& sum : sums) {
    RowSum padded_sum[] = {{.weights = sum.weights, .rows = sum.rows, .sum = scratch.sum()}};
    if (add) copy_row(sum.sum, width, padded, 1.0F, scratch.sum());
    add_rows<1, kEdgeWords>(padded_sum, index, count, padded / kLanes, add);
    std::memcpy(sum.sum, scratch.sum(), static_cast<std::size_t>(width) * sizeof(float));
  }
}

void find_output_gains(const BackwardHead& head, const Tile& tile, const RowScratch& scratch,
                       float* output_gains) {
  for (std::int64_t i = tile.first_row; i < tile.last_row; ++i) {
    output_gains[i - tile.first_row] = output_gain_of(head, i, scratch.sum());
  }
}

/// Whether the sums of features and of memberships are as wide as one another, and share loads.
bool sums_run_together(const BackwardHead& head) {
  return !head.cells.are_probes && !head.bf16_memberships && head.head_dim == head.clusters;
}

/// The rows' side of a tile: dQ, T and the edges' values, sorted by key into `edges`.
template <int kVectors>
void backward_rows(const BackwardHead& head, const Tile& tile, const RowCursors& cursors,
                   const TileEdges& edges, const RowScratch& scratch) {
  const CellRows& cells = head.cells;
  std::int64_t* places = edges.cursors();
  float* sorted = edges.values();
  const float* values = scratch.edge_values();
  const bool first = tile.first_key == 0;
  const bool add = !first || cells.are_probes;
  const bool together = sums_run_together(head);
  if (first) find_output_gains(head, tile, scratch, cursors.output_gains());
  std::uint16_t* gradients = head.bf16_memberships ? edges.gradients() : nullptr;
  for (std::int64_t i = tile.first_row; i < tile.last_row; ++i) {
    const std::int64_t begin = cursors.begins()[i - tile.first_row];
    const TileRow row = {
        .index = i,
        .count = cursors.ends()[i - tile.first_row] - begin,
        .columns = cells.columns + begin,
        .gates = cells.gates == nullptr ? nullptr : cells.gates + begin,
        .probabilities = cells.probabilities == nullptr ? nullptr : cells.probabilities + begin,
        .output_gain = cursors.output_gains()[i - tile.first_row],
        .gradients = gradients};
    if (add && row.count == 0) continue;
    if (gradients != nullptr) gradients += row.count;
    if (cells.are_probes) {
      probe_values<kVectors>(head, row, scratch);
    } else if (row.count > 0) {
      if (head.dropout_threshold > 0) {
        dropout_row(static_cast<std::uint32_t>(i), row.columns, row.count, head.dropout_key,
                    head.dropout_threshold, scratch);
      }
      edge_values<kVectors>(head, row, scratch);
    }
    const ColumnIndex index = {row.columns};
    const RowSum query = {.weights = values, .rows = head.key, .sum = head.grad_query[i]};
    const RowSum product = {
        .weights = values + 2, .rows = head.key_membership, .sum = head.query_product[i]};
    if (together) {
      RowSum sums[] = {query, product};
      add_to_rows(sums, index, row.count, head.head_dim, head.padded_dim, add, scratch);
    } else {
      if (!cells.are_probes) {
        RowSum sums[] = {query};
        add_to_rows(sums, index, row.count, head.head_dim, head.padded_dim, add, scratch);
      }
      if (!head.bf16_memberships) {
        RowSum sums[] = {product};
        add_to_rows(sums, index, row.count, head.clusters, head.padded_clusters, add, scratch);
      }
    }
    for (std::int64_t e = 0; e < row.count; ++e) {
      const std::int64_t place = places[row.columns[e] - tile.first_key]++;
      std::memcpy(sorted + kEdgeWords * place, values + kEdgeWords * e, kEdgeWords * sizeof(float));
    }
  }
}

void BackwardRows(const BackwardHead& head, const Tile& tile, const RowCursors& cursors,
                  const TileEdges& edges, const RowScratch& scratch) {
  with_vectors(head.padded_dim / kLanes, [&](auto vectors) HWY_ATTR {
    backward_rows<decltype(vectors)::kValue>(head, tile, cursors, edges, scratch);
  });
}

/// The keys' side of a tile: dK, dV and R.
void BackwardKeys(const BackwardHead& head, const Tile& tile, const TileEdges& edges,
                  const RowScratch& scratch) {
  const std::int64_t* ends = edges.cursors();
  const bool add = tile.first_row > 0 || head.cells.are_probes;
  const bool together = sums_run_together(head);
  std::int64_t begin = 0;
  for (std::int64_t j = tile.first_key; j < tile.last_key; ++j) {
    const std::int64_t count = ends[j - tile.first_key] - begin;
    const float* values = edges.values() + kEdgeWords * begin;
    begin += count;
    if (add && count == 0) continue;
    const PackedIndex index = {values};
    const RowSum key = {.weights = values, .rows = head.query, .sum = head.grad_key[j]};
    const RowSum value = {
        .weights = values + 1, .rows = head.grad_output, .sum = head.grad_value[j]};
    const RowSum product = {
        .weights = values + 2, .rows = head.query_membership, .sum = head.key_product[j]};
    if (together) {
      RowSum sums[] = {key, value, product};
      add_to_rows(sums, index, count, head.head_dim, head.padded_dim, add, scratch);
      continue;
    }
    if (!head.cells.are_probes) {
      RowSum sums[] = {key, value};
      add_to_rows(sums, index, count, head.head_dim, head.padded_dim, add, scratch);
    }
    if (!head.bf16_memberships) {
      RowSum sums[] = {product};
      add_to_rows(sums, index, count, head.clusters, head.padded_clusters, add, scratch);
    }
  }
}

std::int64_t BackwardLanes() { return kLanes; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sbm::kernels::cpu {
namespace {

HWY_EXPORT(BackwardRows);
HWY_EXPORT(BackwardKeys);
HWY_EXPORT(BackwardLanes);

}  // namespace

std::int64_t backward_lanes() { return HWY_DYNAMIC_DISPATCH(BackwardLanes)(); }

void backward_tile_rows(const BackwardHead& head, const Tile& tile, const RowCursors& cursors,
                        const TileEdges& edges, const RowScratch& scratch) {
  HWY_DYNAMIC_DISPATCH(BackwardRows)(head, tile, cursors, edges, scratch);
}

void backward_tile_keys(const BackwardHead& head, const Tile& tile, const TileEdges& edges,
                        const RowScratch& scratch) {
  HWY_DYNAMIC_DISPATCH(BackwardKeys)(head, tile, edges, scratch);
}

}  // namespace sbm::kernels::cpu
#endif  // HWY_ONCE
