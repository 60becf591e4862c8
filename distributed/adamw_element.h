#pragma once

#include <cmath>

#include "base/host_device.h"

// The update of one weight, for the processor and, compiled by nvcc with --fmad=false, for the GPU:
// the same operations in the same order, each rounded to fp32, so the same bits.

namespace sbm::distributed {

/// The coefficients of one update, each rounded to fp32 once.
struct AdamWCoefficients {
  float gradient_scale;
  float beta1, one_minus_beta1;
  float beta2, one_minus_beta2;
  float step_size;              ///< learning rate / (1 - beta1^t)
  float inverse_root_of_bias2;  ///< 1 / sqrt(1 - beta2^t)
  float epsilon;
  float decayed;  ///< 1 - learning rate * weight decay
};

/// Formula: distributed/sharded_adamw.h. `keep`: the factor of the old weight.
SBM_HOST_DEVICE inline void adamw_element(const AdamWCoefficients& c, float keep, float gradient,
                                          float& first, float& second, float& weight) {
  const float g = gradient * c.gradient_scale;
  const float m = c.beta1 * first + c.one_minus_beta1 * g;
  const float v = c.beta2 * second + c.one_minus_beta2 * (g * g);
  first = m;
  second = v;
  const float denominator = std::sqrt(v) * c.inverse_root_of_bias2 + c.epsilon;
  weight = weight * keep - c.step_size * (m / denominator);
}

}  // namespace sbm::distributed
