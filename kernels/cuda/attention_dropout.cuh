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

/// The bits of columns [8 group, 8 group + 8) of a row, for threads that own several of them:
/// attention_dropout_keeps() reads the answers out of it.
__device__ __forceinline__ PhiloxBlock dropout_block(PhiloxKey key, std::uint32_t row,
                                                     std::uint32_t group) {
  return philox4x32<7>(attention_dropout_counter(row, group), key);
}

/// What dropout multiplies the weight of edge (row, column) with, by one thread for one edge: about
/// 45 instructions, 0 or rule.scale. Without dropout 1.
__device__ __forceinline__ float dropout_factor(const DropoutRule& rule, PhiloxKey key,
                                                std::uint32_t row, std::uint32_t column) {
  if (rule.threshold == 0) return 1.0F;
  const PhiloxBlock block = dropout_block(key, row, column / 8);
  // An index that is not known at compile time would put the block into memory.
  const std::uint32_t low = (column & 2) != 0 ? block[1] : block[0];
  const std::uint32_t high = (column & 2) != 0 ? block[3] : block[2];
  const std::uint32_t word = (column & 4) != 0 ? high : low;
  return (word >> 16 * (column & 1) & 0xFFFF) >= rule.threshold ? rule.scale : 0.0F;
}

}  // namespace sbm::kernels::cuda
