#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/checked.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/attention_call.h"
#include "kernels/cpu/attention_check.h"
#include "kernels/cpu/attention_dense.h"
#include "kernels/cpu/target.h"
#include "kernels/cpu/workers.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_forward.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/attention_dropout-inl.h"
#include "kernels/cpu/attention_edges-inl.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

/// Writes the scores of the row's edges, rounded up to whole tiles with -infinity, and returns
/// their maximum.
template <int kVectors>
float score_row(const ForwardHead& head, const std::int32_t* columns, std::int64_t count,
                const float* query, float* scores) {
  const SharedRow<kVectors> shared(query, head.padded_dim / kLanes);
  const Vector nothing = hn::Set(kFloats, -std::numeric_limits<float>::infinity());
  const Vector scale = hn::Set(kFloats, head.scale);
  Vector maximum = nothing;
  std::int32_t spare[kWidestLanes];
  for (std::int64_t begin = 0; begin < count; begin += kLanes) {
    Vector score =
        hn::Mul(tile_dots(shared, head.key, tile_columns(columns, begin, count, spare)), scale);
    if (begin + kLanes > count) {
      const auto edges = hn::FirstN(kFloats, static_cast<std::size_t>(count - begin));
      score = hn::IfThenElse(edges, score, nothing);
    }
    hn::Store(score, kFloats, scores + begin);
    maximum = hn::Max(maximum, score);
  }
  return hn::GetLane(hn::MaxOfLanes(kFloats, maximum));
}

/// Turns scores into exp(score - maximum) and returns their sum.
float exponentiate_row(std::int64_t count, float maximum, float* scores) {
  const Vector shift = hn::Set(kFloats, maximum);
  Vector sum = hn::Zero(kFloats);
  for (std::int64_t begin = 0; begin < count; begin += kLanes) {
    const Vector weight = exponential(hn::Sub(hn::Load(kFloats, scores + begin), shift));
    sum = hn::Add(sum, weight);
    hn::Store(weight, kFloats, scores + begin);
  }
  return hn::GetLane(hn::SumOfLanes(kFloats, sum));
}

void multiply_row(const float* factors, std::int64_t count, float* weights) {
  for (std::int64_t begin = 0; begin < count; begin += kLanes) {
    hn::Store(hn::Mul(hn::Load(kFloats, weights + begin), hn::Load(kFloats, factors + begin)),
              kFloats, weights + begin);
  }
}

template <int kVectors>
void forward_rows(const ForwardHead& head, std::int64_t first, std::int64_t last,
                  const RowScratch& scratch) {
  const EdgeList& graph = *head.graph;
  float* weights = scratch.edge_values();
  for (std::int64_t i = first; i < last; ++i) {
    const std::int64_t begin = graph.row_offsets.data()[i];
    const std::int64_t count = graph.row_offsets.data()[i + 1] - begin;
    const std::int32_t* columns = graph.columns.data() + begin;
    float* output = head.output[i];
    if (count == 0) {
      for (std::int64_t c = 0; c < head.head_dim; ++c) output[c] = 0.0F;
      head.log_sum_exp[i] = -std::numeric_limits<float>::infinity();
      continue;
    }
    copy_row(head.query[i], head.head_dim, head.padded_dim, 1.0F, scratch.query());
    const float maximum = score_row<kVectors>(head, columns, count, scratch.query(), weights);
    const float sum = exponentiate_row(count, maximum, weights);
    if (head.dropout_threshold > 0) {
      dropout_row(static_cast<std::uint32_t>(i), columns, count, head.dropout_key,
                  head.dropout_threshold, scratch);
      multiply_row(scratch.factors(), count, weights);
    }
    RowSum sums[] = {{.weights = weights, .rows = head.value, .sum = scratch.sum()}};
    add_rows<1, 1>(sums, ColumnIndex{columns}, count, head.padded_dim / kLanes, false);
    copy_row(scratch.sum(), head.padded_dim, head.padded_dim, 1.0F / sum, scratch.sum());
    std::memcpy(output, scratch.sum(), static_cast<std::size_t>(head.head_dim) * sizeof(float));
    head.log_sum_exp[i] = maximum + std::log(sum);
  }
}

void ForwardRows(const ForwardHead& head, std::int64_t first, std::int64_t last,
                 const RowScratch& scratch) {
  with_vectors(head.padded_dim / kLanes, [&](auto vectors) HWY_ATTR {
    forward_rows<decltype(vectors)::kValue>(head, first, last, scratch);
  });
}

std::int64_t ForwardLanes() { return kLanes; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sbm::kernels::cpu {
namespace {

HWY_EXPORT(ForwardRows);
HWY_EXPORT(ForwardLanes);

/// Rows that one piece of a split head takes. A row's result does not depend on it.
constexpr std::int64_t kRowsPerPiece = 96;
static_assert(kRowsPerPiece % kDenseRows == 0);

struct HeadScratch {
  RowScratch row;
  DenseHead dense_head;
  DenseScratch dense;
  PaddedRows key;
  PaddedRows value;
};

/// One call: hands out its heads.
class ForwardCall {
 public:
  explicit ForwardCall(const ForwardParams& params)
      : params_(params),
        lanes_(HWY_DYNAMIC_DISPATCH(ForwardLanes)()),
        padded_dim_(round_up(params.shape.head_dim, lanes_)),
        longest_row_(longest_row(params.graphs)) {}

  /// The head with its keys and values padded in `scratch`. Throws std::bad_alloc.
  ForwardHead head(std::int64_t index, HeadScratch& scratch) const {
    const AttentionShape& shape = params_.shape;
    const std::int64_t batch = index / shape.heads;
    const std::int64_t head = index % shape.heads;
    ForwardHead result;
    describe_head(shape, params_.graphs, index, result);
    result.padded_dim = padded_dim_;
    result.query = head_rows(params_.query, batch, head);
    result.key = scratch.key.view(head_rows(params_.key, batch, head), shape.keys, shape.head_dim,
                                  padded_dim_);
    result.value = scratch.value.view(head_rows(params_.value, batch, head), shape.keys,
                                      shape.head_dim, padded_dim_);
    result.output = head_rows(params_.output, batch, head);
    result.log_sum_exp = params_.log_sum_exp + index * shape.queries;
    if (result.is_dense) {
      scratch.dense_head.prepare(*result.graph, shape.keys, padded_dim_, result.key, {});
    }
    return result;
  }

  /// `dense` is the head's. Throws std::bad_alloc.
  void rows(const ForwardHead& head, const DenseHead& dense, std::int64_t first, std::int64_t last,
            HeadScratch& scratch) const {
    if (head.is_dense) {
      scratch.dense.reserve(padded_dim_, dense.panels());
      for (std::int64_t i = first; i < last; i += kDenseRows) {
        dense_forward(head, dense, i, std::min(i + kDenseRows, last), scratch.dense);
      }
      return;
    }
    scratch.row.reserve(padded_dim_, longest_row_, head.dropout_threshold > 0);
    HWY_DYNAMIC_DISPATCH(ForwardRows)(head, first, last, scratch.row);
  }

 private:
  const ForwardParams& params_;
  std::int64_t lanes_;
  std::int64_t padded_dim_;
  std::int64_t longest_row_;
};

}  // namespace

Status attention_forward(const ForwardParams& params, Executor& executor) {
  apply_target_override();
  if (Status status = check(params); !status.ok()) return status;
  const std::int64_t heads = params.shape.batch * params.shape.heads;
  const std::int64_t queries = params.shape.queries;
  if (heads == 0 || queries == 0) return {};

  const ForwardCall call(params);
  Workers<HeadScratch> workers(executor);
  const auto whole_head = [&](HeadScratch& scratch, std::int64_t index) {
    const ForwardHead head = call.head(index, scratch);
    call.rows(head, scratch.dense_head, 0, queries, scratch);
  };
  const auto split_head = [&](HeadScratch& head_scratch, std::int64_t index) {
    const ForwardHead head = call.head(index, head_scratch);
    const std::int64_t pieces = ceil_divide(queries, kRowsPerPiece);
    workers.for_each(pieces, [&](HeadScratch& scratch, std::int64_t piece) {
      const std::int64_t first = piece * kRowsPerPiece;
      call.rows(head, head_scratch.dense_head, first, std::min(first + kRowsPerPiece, queries),
                scratch);
    });
  };
  if (splits_heads(heads, executor)) {
    for (std::int64_t index = 0; index < heads; ++index) workers.with_scratch(split_head, index);
  } else {
    workers.for_each(heads, whole_head);
  }
  return workers.status("attention_forward");
}

}  // namespace sbm::kernels::cpu
#endif  // HWY_ONCE
