#pragma once

#include <cstdint>

#include "kernels/attention.h"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/ptx.cuh"

// What an edge or a probed non-edge passes on to its probability, before the gate (the estimators
// of design, section 3.1), by one thread for one cell. The formulas are those of
// kernels/reference/attention_estimator.cpp in float32.
namespace sbm::kernels::cuda {

inline constexpr float kLog2E = 1.44269504088896340736F;
inline constexpr float kLn2 = 0.69314718055994530942F;

/// The value held between -bound and bound; a NaN stays one, so that a broken model shows itself.
__device__ __forceinline__ float bounded(float value, float bound) {
  // fmaxf and fminf would give the bound for a NaN.
  return value > bound ? bound : value < -bound ? -bound : value;
}

/// What all cells of a graph share.
struct EstimatorConstants {
  float clip = 0.0F;              ///< REFERENCE
  float density_gradient = 0.0F;  ///< c_h; REFERENCE
  float half_over_rate = 0.0F;    ///< 0.5 / r; TRAPEZOID's probes
};

/// The estimator of a launch.
struct EstimatorRule {
  float clip = 0.0F;
  float half_over_rate = 0.0F;
  const float* density_gradient = nullptr;  ///< [heads] or null

  EstimatorRule() = default;
  explicit EstimatorRule(const EstimatorParams& params)
      : clip(params.clip),
        half_over_rate(params.probe_rate > 0 ? static_cast<float>(0.5 / params.probe_rate) : 0.0F),
        density_gradient(params.density_gradient) {}

  [[nodiscard]] __device__ __forceinline__ EstimatorConstants of_head(std::int64_t head) const {
    EstimatorConstants constants;
    constants.clip = clip;
    constants.density_gradient = density_gradient != nullptr ? density_gradient[head] : 0.0F;
    constants.half_over_rate = half_over_rate;
    return constants;
  }
};

/// One edge.
struct EdgeValues {
  float score = 0.0F;        ///< s
  float weight = 0.0F;       ///< a, after dropout
  float value_gain = 0.0F;   ///< dO . V
  float gain = 0.0F;         ///< dA = dO . (V - O)
  float probability = 0.0F;  ///< q; TRAPEZOID
  bool only_edge = false;    ///< of its row; TRAPEZOID
};

/// G of an edge.
template <Estimator estimator>
__device__ __forceinline__ float edge_estimate(const EstimatorConstants& constants,
                                               const EdgeValues& edge) {
  const float weighted_gain = edge.weight * edge.gain;
  if constexpr (estimator == Estimator::kPaper) {
    return edge.score * weighted_gain;
  } else if constexpr (estimator == Estimator::kReference) {
    return bounded(weighted_gain + constants.density_gradient, constants.clip);
  } else {
    const float drawn = fmaxf(edge.probability, 1e-3F);
    // Without its only edge the row's output would be 0.
    if (edge.only_edge) return 0.5F * edge.value_gain / drawn;
    return 0.5F * weighted_gain / (fmaxf(1.0F - edge.weight, 0.1F) * drawn);
  }
}

/// G of a probed non-edge under TRAPEZOID: score s, the row's log-sum-exp, dA and q. In a row
/// without edges, whose log-sum-exp is -infinity, the sigmoid is 1 and dA = dO . V, as it should.
__device__ __forceinline__ float probe_estimate(const EstimatorConstants& constants, float score,
                                                float log_sum_exp, float gain, float probability) {
  // Beyond 80 exp would overflow; the sigmoid is below 2e-35 there.
  const float difference = log_sum_exp - score;
  const float exponent = difference > 80.0F ? 80.0F : difference;
  const float sigmoid = 1.0F / (1.0F + ptx::exp2_approx(exponent * kLog2E));
  return constants.half_over_rate * sigmoid * gain / fmaxf(1.0F - probability, 0.05F);
}

}  // namespace sbm::kernels::cuda
