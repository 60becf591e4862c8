#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/cpu/attention_dense.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_dense_tile.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/attention_dropout-inl.h"
#include "kernels/cpu/attention_edges-inl.h"
#include "kernels/cpu/attention_estimator-inl.h"
#include "kernels/cpu/matrix_product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

/// Keys whose values stay in the first cache while all rows of a block use them.
constexpr std::int64_t kValuesTogether = 128;

/// Which lanes of the vector at `begin` of a word's cells are edges.
HWY_INLINE auto edge_mask(std::uint64_t edges, std::int64_t begin) {
  const std::uint64_t bits = edges >> begin;
  std::uint8_t bytes[8];
  std::memcpy(bytes, &bits, sizeof(bytes));
  return hn::LoadMaskBits(kFloats, bytes);
}

/// factors[0, kDenseKeys) = what dropout multiplies the weights of the row's cells from `first_key`
/// on with.
HWY_INLINE void dropout_cells(std::uint32_t row, std::int64_t first_key, PhiloxKey key,
                              std::uint32_t threshold, float* factors) {
  constexpr std::int64_t kCalls = kDenseKeys / 8;
  std::uint32_t groups[kCalls + kWidestLanes] = {};
  for (std::int64_t call = 0; call < kCalls; ++call) {
    groups[call] = static_cast<std::uint32_t>(first_key / 8 + call);
  }
  HWY_ALIGN std::uint32_t words[4 * (kCalls + kWidestLanes)];
  draw_groups(row, groups, kCalls, key, words);
  const auto kept = static_cast<float>(attention_dropout_scale(threshold));
  for (std::int64_t pair = 0; pair < kDenseKeys / 2; ++pair) {
    factors[2 * pair] = (words[pair] & 0xFFFF) < threshold ? 0.0F : kept;
    factors[2 * pair + 1] = (words[pair] >> 16) < threshold ? 0.0F : kept;
  }
}

/// scores [rows, kDenseKeys] = rows of queries times a packed panel.
HWY_INLINE void multiply_panel(const float* query, std::int64_t rows, std::int64_t padded_dim,
                               const float* panel, float* scores, std::int64_t stride) {
  product::multiply(rows, padded_dim, {.data = query, .row_stride = padded_dim},
                    {.data = panel, .stride = kDenseKeys},
                    {.data = scores, .stride = stride, .columns = kDenseKeys});
}

/// Rows [first, last) of `from`, scaled, one behind the other.
HWY_INLINE void copy_rows(Rows from, std::int64_t first, std::int64_t last, std::int64_t width,
                          std::int64_t padded, float factor, float* to) {
  for (std::int64_t i = first; i < last; ++i, to += padded) {
    copy_row(from[i], width, padded, factor, to);
  }
}

/// Turns the scores of a row into weights: exp(score - maximum) on its edges, 0 elsewhere. Returns
/// the sum of them, and the maximum.
HWY_INLINE float weigh_row(const DenseHead& dense, std::int64_t row, float* scores,
                           float& row_maximum) {
  const Vector nothing = hn::Set(kFloats, -std::numeric_limits<float>::infinity());
  Vector maximum = nothing;
  const auto for_each_vector = [&](auto work) HWY_ATTR {
    for (std::int64_t panel = 0; panel < dense.panels(); ++panel) {
      const std::uint64_t edges = dense.edges(row, panel);
      for (std::int64_t c = 0; c < kDenseKeys; c += kLanes) {
        work(edge_mask(edges, c), scores + panel * kDenseKeys + c);
      }
    }
  };
  for_each_vector([&](auto mask, const float* place) HWY_ATTR {
    maximum = hn::Max(maximum, hn::IfThenElse(mask, hn::Load(kFloats, place), nothing));
  });
  row_maximum = hn::GetLane(hn::MaxOfLanes(kFloats, maximum));
  const Vector shift = hn::Set(kFloats, row_maximum);
  Vector sum = hn::Zero(kFloats);
  for_each_vector([&](auto mask, float* place) HWY_ATTR {
    const Vector weight =
        hn::IfThenElseZero(mask, exponential(hn::Sub(hn::Load(kFloats, place), shift)));
    sum = hn::Add(sum, weight);
    hn::Store(weight, kFloats, place);
  });
  return hn::GetLane(hn::SumOfLanes(kFloats, sum));
}

void DenseForward(const ForwardHead& head, const DenseHead& dense, std::int64_t first,
                  std::int64_t last, const DenseScratch& scratch) {
  const std::int64_t rows = last - first;
  const std::int64_t stride = dense.panels() * kDenseKeys;
  const std::int64_t dim = head.padded_dim;
  float* scores = scratch.scores();
  copy_rows(head.query, first, last, head.head_dim, dim, head.scale, scratch.query());
  for (std::int64_t panel = 0; panel < dense.panels(); ++panel) {
    multiply_panel(scratch.query(), rows, dim, dense.key_panel(panel), scores + panel * kDenseKeys,
                   stride);
  }
  HWY_ALIGN float factors[kDenseKeys];
  float inverse[kDenseRows] = {};
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t i = first + r;
    float* row = scores + r * stride;
    const std::int64_t* offsets = head.graph->row_offsets.data() + i;
    if (offsets[0] == offsets[1]) {
      std::fill_n(row, stride, 0.0F);
      head.log_sum_exp[i] = -std::numeric_limits<float>::infinity();
      continue;
    }
    float maximum = 0.0F;
    const float sum = weigh_row(dense, i, row, maximum);
    inverse[r] = 1.0F / sum;
    head.log_sum_exp[i] = maximum + std::log(sum);
    for (std::int64_t panel = 0; head.dropout_threshold > 0 && panel < dense.panels(); ++panel) {
      dropout_cells(static_cast<std::uint32_t>(i), panel * kDenseKeys, head.dropout_key,
                    head.dropout_threshold, factors);
      for (std::int64_t c = 0; c < kDenseKeys; ++c) row[panel * kDenseKeys + c] *= factors[c];
    }
  }
  float* output = scratch.output();
  std::fill_n(output, rows * dim, 0.0F);
  for (std::int64_t key = 0; key < head.keys; key += kValuesTogether) {
    product::multiply(rows, std::min(kValuesTogether, head.keys - key),
                      {.data = scores + key, .row_stride = stride},
                      {.data = head.value[key], .stride = head.value.stride},
                      {.data = output, .stride = dim, .columns = dim, .add = true});
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    copy_row(output + r * dim, dim, dim, inverse[r], output + r * dim);
    std::memcpy(head.output[first + r], output + r * dim,
                static_cast<std::size_t>(head.head_dim) * sizeof(float));
  }
}

/// The values of a row's edges in a panel, each where its key stands; 0 elsewhere.
HWY_INLINE void spread_edges(const float* values, std::uint64_t edges, float* cells) {
  std::fill_n(cells, kDenseKeys, 0.0F);
  for (; edges != 0; edges &= edges - 1) cells[__builtin_ctzll(edges)] = *values++;
}

/// What the cells of a tile pass on.
struct TileGradients {
  float* grad_score = nullptr;  ///< [rows, kDenseKeys] scale * dL/ds, as the others
  float* weight = nullptr;      ///< after dropout
  float* estimate = nullptr;    ///< G
};

/// Fills the tiles 0 to 2 of the scratch. Its query() and output() hold the scaled queries and dO.
HWY_INLINE TileGradients fill_tile(const BackwardHead& head, const DenseHead& dense,
                                   std::int64_t first, std::int64_t last, std::int64_t panel,
                                   const float* output_gains, const DenseScratch& scratch) {
  const TileGradients tile = {scratch.tile(0), scratch.tile(1), scratch.tile(2)};
  float* scores = scratch.tile(3);
  float* value_gains = scratch.tile(4);
  const std::int64_t rows = last - first;
  multiply_panel(scratch.query(), rows, head.padded_dim, dense.key_panel(panel), scores,
                 kDenseKeys);
  multiply_panel(scratch.output(), rows, head.padded_dim, dense.value_panel(panel), value_gains,
                 kDenseKeys);
  HWY_ALIGN float factors[kDenseKeys];
  HWY_ALIGN float gates[kDenseKeys];
  HWY_ALIGN float probabilities[kDenseKeys];
  const std::int64_t first_key = panel * kDenseKeys;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t i = first + r;
    const std::uint64_t word = dense.edges(i, panel);
    const std::int64_t first_edge = dense.first_edge(i, panel);
    const EstimatorRow constants(head, i, output_gains[i]);
    const Vector log_sum_exp = hn::Set(kFloats, head.log_sum_exp[i]);
    if (constants.has_dropout) {
      dropout_cells(static_cast<std::uint32_t>(i), first_key, head.dropout_key,
                    head.dropout_threshold, factors);
    }
    const bool has_gates = head.cells.gates != nullptr;
    if (has_gates) spread_edges(head.cells.gates + first_edge, word, gates);
    const bool needs_probabilities = constants.estimator == Estimator::kTrapezoid;
    if (needs_probabilities) {
      spread_edges(head.cells.probabilities + first_edge, word, probabilities);
    }
    EdgeVector edges;
    edges.factor = edges.probability = hn::Zero(kFloats);
    for (std::int64_t c = 0; c < kDenseKeys; c += kLanes) {
      const std::int64_t place = r * kDenseKeys + c;
      const auto mask = edge_mask(word, c);
      edges.score = hn::Load(kFloats, scores + place);
      edges.value_gain = hn::Load(kFloats, value_gains + place);
      edges.weight = hn::IfThenElseZero(mask, exponential(hn::Sub(edges.score, log_sum_exp)));
      if (constants.has_dropout) edges.factor = hn::Load(kFloats, factors + c);
      if (needs_probabilities) edges.probability = hn::Load(kFloats, probabilities + c);
      const EdgeGradients gradients = edge_gradients(constants, edges);
      Vector estimate = gradients.estimate;
      if (has_gates) estimate = hn::Mul(estimate, hn::Load(kFloats, gates + c));
      hn::Store(hn::IfThenElseZero(mask, gradients.grad_score), kFloats, tile.grad_score + place);
      hn::Store(gradients.weight, kFloats, tile.weight + place);
      hn::Store(hn::IfThenElseZero(mask, estimate), kFloats, tile.estimate + place);
    }
    const bool forced = head.cells.diagonal_forced && !has_gates;
    if (forced && i >= first_key && i < first_key + kDenseKeys) {
      tile.estimate[r * kDenseKeys + i - first_key] = 0.0F;
    }
  }
  return tile;
}

HWY_INLINE void start_rows(const BackwardHead& head, std::int64_t first, std::int64_t last,
                           const DenseScratch& scratch) {
  const std::int64_t dim = head.padded_dim;
  copy_rows(head.query, first, last, dim, dim, head.scale, scratch.query());
  copy_rows(head.grad_output, first, last, dim, dim, 1.0F, scratch.output());
}

void DenseBackwardRows(const BackwardHead& head, const DenseHead& dense, std::int64_t first,
                       std::int64_t last, float* output_gains, const DenseScratch& scratch) {
  for (std::int64_t i = first; i < last; ++i) {
    output_gains[i] = output_gain_of(head, i, scratch.query());
  }
  start_rows(head, first, last, scratch);
  const std::int64_t rows = last - first;
  for (std::int64_t panel = 0; panel < dense.panels(); ++panel) {
    const TileGradients tile = fill_tile(head, dense, first, last, panel, output_gains, scratch);
    const std::int64_t key = panel * kDenseKeys;
    const std::int64_t keys = std::min(kDenseKeys, head.keys - key);
    const bool add = panel > 0;
    product::multiply(rows, keys, {.data = tile.grad_score, .row_stride = kDenseKeys},
                      {.data = head.key[key], .stride = head.key.stride},
                      {.data = head.grad_query[first],
                       .stride = head.grad_query.stride,
                       .columns = head.head_dim,
                       .add = add});
    product::multiply(rows, keys, {.data = tile.estimate, .row_stride = kDenseKeys},
                      {.data = head.key_membership[key], .stride = head.key_membership.stride},
                      {.data = head.query_product[first],
                       .stride = head.query_product.stride,
                       .columns = head.clusters,
                       .add = add});
  }
}

void DenseBackwardKeys(const BackwardHead& head, const DenseHead& dense, std::int64_t panel,
                       const float* output_gains, const DenseScratch& scratch) {
  const std::int64_t key = panel * kDenseKeys;
  const std::int64_t keys = std::min(kDenseKeys, head.keys - key);
  for (std::int64_t first = 0; first < head.cells.rows; first += kDenseRows) {
    const std::int64_t last = std::min(first + kDenseRows, head.cells.rows);
    start_rows(head, first, last, scratch);
    const TileGradients tile = fill_tile(head, dense, first, last, panel, output_gains, scratch);
    const auto add_product = [&](const float* left, Rows right, const HeadRows& output,
                                 std::int64_t columns) HWY_ATTR {
      product::multiply(
          keys, last - first, {.data = left, .row_stride = 1, .inner_stride = kDenseKeys},
          {.data = right[first], .stride = right.stride},
          {.data = output[key], .stride = output.stride, .columns = columns, .add = first > 0});
    };
    add_product(tile.grad_score, head.query, head.grad_key, head.head_dim);
    add_product(tile.weight, head.grad_output, head.grad_value, head.head_dim);
    add_product(tile.estimate, head.query_membership, head.key_product, head.clusters);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sbm::kernels::cpu {
namespace {

HWY_EXPORT(DenseForward);
HWY_EXPORT(DenseBackwardRows);
HWY_EXPORT(DenseBackwardKeys);

}  // namespace

void dense_forward(const ForwardHead& head, const DenseHead& dense, std::int64_t first,
                   std::int64_t last, const DenseScratch& scratch) {
  HWY_DYNAMIC_DISPATCH(DenseForward)(head, dense, first, last, scratch);
}

void dense_backward_rows(const BackwardHead& head, const DenseHead& dense, std::int64_t first,
                         std::int64_t last, float* output_gains, const DenseScratch& scratch) {
  HWY_DYNAMIC_DISPATCH(DenseBackwardRows)(head, dense, first, last, output_gains, scratch);
}

void dense_backward_keys(const BackwardHead& head, const DenseHead& dense, std::int64_t panel,
                         const float* output_gains, const DenseScratch& scratch) {
  HWY_DYNAMIC_DISPATCH(DenseBackwardKeys)(head, dense, panel, output_gains, scratch);
}

}  // namespace sbm::kernels::cpu
#endif  // HWY_ONCE
