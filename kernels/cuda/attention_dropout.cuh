#pragma once

#include <cstdint>

#include "kernels/attention_dropout.h"
#include "kernels/cuda/device.cuh"

// Attention dropout in kernels: the bits of kernels/attention_dropout.h.
namespace sbm::kernels::cuda {

/// Attention dropout of a launch.
struct DropoutRule {
  std::uint32_t threshold = 0;  ///< 0: no dropout
  float scale = 1.0F;           ///< of a kept weight

  DropoutRule() = default;
  /// `probability` rounded to 1/65536 is below 1.
  explicit DropoutRule(double probability)
      : threshold(attention_dropout_threshold(probability)),
        scale(static_cast<float>(attention_dropout_scale(threshold))) {}
};

/// What dropout multiplies the weight of edge (row, column) with, by one thread for one edge: about
/// 45 instructions, 0 or rule.scale. Without dropout 1.
__device__ __forceinline__ float dropout_factor(const DropoutRule& rule, PhiloxKey key,
                                                std::uint32_t row, std::uint32_t column) {
  if (rule.threshold == 0) return 1.0F;
  return attention_dropout_keeps(key, row, column, rule.threshold) ? rule.scale : 0.0F;
}

/// The bits of columns [8 group, 8 group + 8) of a row, for threads that own several of them:
/// attention_dropout_keeps() reads the answers out of it.
__device__ __forceinline__ PhiloxBlock dropout_block(PhiloxKey key, std::uint32_t row,
                                                     std::uint32_t group) {
  return philox4x32<7>(attention_dropout_counter(row, group), key);
}

}  // namespace sbm::kernels::cuda
