// What an edge or a probe passes on to its probability, on vectors, once for each instruction set.
// Included by foreach_target.

#if defined(SBM_KERNELS_CPU_ATTENTION_ESTIMATOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SBM_KERNELS_CPU_ATTENTION_ESTIMATOR_INL_H_
#undef SBM_KERNELS_CPU_ATTENTION_ESTIMATOR_INL_H_
#else
#define SBM_KERNELS_CPU_ATTENTION_ESTIMATOR_INL_H_
#endif

#include <cstdint>
#include <limits>

#include "hwy/highway.h"
#include "kernels/cpu/attention_call.h"
#include "kernels/cpu/attention_edges-inl.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

/// The edges of a row, a vector of them.
struct EdgeVector {
  Vector score;
  Vector weight;       ///< exp(score - log-sum-exp), before dropout
  Vector value_gain;   ///< dO . V
  Vector factor;       ///< of dropout; not read without it
  Vector probability;  ///< q; not read but by TRAPEZOID
};

/// What they pass on.
struct EdgeGradients {
  Vector grad_score;  ///< scale * dL/ds
  Vector weight;      ///< after dropout
  Vector estimate;    ///< G, before the gate
};

/// The numbers that all edges of a row share.
struct EstimatorRow {
  EstimatorRow(const BackwardHead& head, std::int64_t row, float dot_of_output)
      : estimator(head.estimator.estimator),
        has_dropout(head.dropout_threshold > 0),
        has_one_edge(
            head.graph->row_offsets.data()[row + 1] - head.graph->row_offsets.data()[row] == 1),
        output_gain(hn::Set(kFloats, dot_of_output)),
        scale(hn::Set(kFloats, head.scale)),
        density_gradient(hn::Set(kFloats, head.density_gradient)),
        clip(hn::Set(kFloats, head.estimator.clip)) {}

  Estimator estimator;
  bool has_dropout;
  bool has_one_edge;
  Vector output_gain;  ///< dO . O
  Vector scale;
  Vector density_gradient;
  Vector clip;
};

constexpr float kUnbounded = std::numeric_limits<float>::infinity();

/// The values held between two bounds; a NaN stays one, so a broken model shows itself.
HWY_INLINE Vector bounded(Vector values, Vector least, Vector most) {
  return hn::IfThenElse(hn::IsNaN(values), values, hn::Min(hn::Max(values, least), most));
}

/// TRAPEZOID of edges (design, section 3.1): half of what removing them promises, over q.
HWY_INLINE Vector trapezoid_of_edges(const EstimatorRow& row, Vector weight, Vector weighted_gain,
                                     Vector value_gain, Vector probability) {
  const Vector half = hn::Set(kFloats, 0.5F);
  const Vector drawn = hn::Max(probability, hn::Set(kFloats, 1e-3F));
  // Without its only edge the row's output would be 0.
  if (row.has_one_edge) return hn::Div(hn::Mul(half, value_gain), drawn);
  const Vector rest = hn::Max(hn::Sub(hn::Set(kFloats, 1.0F), weight), hn::Set(kFloats, 0.1F));
  return hn::Div(hn::Mul(half, weighted_gain), hn::Mul(rest, drawn));
}

/// TRAPEZOID of probed non-edges: half of what adding them promises, over r (1 - q). In a row
/// without edges, whose log-sum-exp is -infinity, the sigmoid is 1 and the output 0, as it should.
HWY_INLINE Vector trapezoid_of_probes(Vector score, Vector log_sum_exp, Vector gain,
                                      Vector probability, float probe_rate) {
  const Vector one = hn::Set(kFloats, 1.0F);
  // Beyond 80 exp would overflow; the sigmoid is below 2e-35 there.
  const Vector exponent =
      bounded(hn::Sub(log_sum_exp, score), hn::Set(kFloats, -kUnbounded), hn::Set(kFloats, 80.0F));
  const Vector sigmoid = hn::Div(one, hn::Add(one, exponential(exponent)));
  const Vector rest = hn::Max(hn::Sub(one, probability), hn::Set(kFloats, 0.05F));
  return hn::Div(hn::Mul(hn::Mul(hn::Set(kFloats, 0.5F), sigmoid), gain),
                 hn::Mul(rest, hn::Set(kFloats, probe_rate)));
}

HWY_INLINE EdgeGradients edge_gradients(const EstimatorRow& row, const EdgeVector& edges) {
  const Vector gain = hn::Sub(edges.value_gain, row.output_gain);
  EdgeGradients result;
  result.weight = edges.weight;
  result.grad_score = hn::Mul(edges.weight, gain);
  Vector weighted_gain = result.grad_score;
  if (row.has_dropout) {
    // A dropped edge still moves the scores, through the row's sum. Its weighted gain is 0; under
    // REFERENCE its estimate is then the clipped gradient of the density.
    result.grad_score =
        hn::Mul(edges.weight, hn::MulSub(edges.factor, edges.value_gain, row.output_gain));
    result.weight = hn::Mul(edges.weight, edges.factor);
    weighted_gain = hn::Mul(result.weight, gain);
  }
  result.grad_score = hn::Mul(result.grad_score, row.scale);
  if (row.estimator == Estimator::kPaper) {
    result.estimate = hn::Mul(edges.score, weighted_gain);
  } else if (row.estimator == Estimator::kTrapezoid) {
    result.estimate =
        trapezoid_of_edges(row, result.weight, weighted_gain, edges.value_gain, edges.probability);
  } else {
    const Vector gradient = hn::Add(weighted_gain, row.density_gradient);
    result.estimate = bounded(gradient, hn::Neg(row.clip), row.clip);
  }
  return result;
}

/// dot(left, right) of padded rows.
HWY_INLINE float dot_row(const float* left, const float* right, std::int64_t padded) {
  Vector sum = hn::Zero(kFloats);
  for (std::int64_t c = 0; c < padded; c += kLanes) {
    sum = hn::MulAdd(hn::LoadU(kFloats, left + c), hn::LoadU(kFloats, right + c), sum);
  }
  return hn::GetLane(hn::SumOfLanes(kFloats, sum));
}

/// dO . O of a row. `padded` has room for the head's padded_dim.
HWY_INLINE float output_gain_of(const BackwardHead& head, std::int64_t row, float* padded) {
  copy_row(head.output[row], head.head_dim, head.padded_dim, 1.0F, padded);
  return dot_row(head.grad_output[row], padded, head.padded_dim);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif  // include guard
