#pragma once

#include <cmath>
#include <cstdint>

#include "base/philox.h"

// Attention dropout to the bit, the same on every device and path.
//
// The weight of edge (i, j) draws 16 bits: half j & 1 (0: the low one) of word (j / 2) & 3 of
// philox4x32<7>({i, j / 8, 0, 0}, key), where `key` is the stream of the edge's (sample, head).
// It is dropped when those bits are below round(65536 p), so the probability is exact for p rounded
// to 1/65536; a kept weight is divided by 1 - p of that rounded p. Only edges draw: the bits do not
// depend on the padding, the batch or the other edges.
namespace sbm::kernels {

/// p in units of 1/65536, rounded to nearest, halves up; dropout of features (cpu/dropout.h) rounds
/// alike. A dropout of 65536 or more would keep nothing.
[[nodiscard]] inline std::uint32_t attention_dropout_threshold(double probability) {
  return static_cast<std::uint32_t>(std::lround(probability * 65536.0));
}

/// What a kept weight is multiplied with. threshold < 65536.
[[nodiscard]] inline double attention_dropout_scale(std::uint32_t threshold) {
  return 65536.0 / (65536.0 - threshold);
}

/// The counter of the block that draws for columns [8 group, 8 group + 8) of `row`.
[[nodiscard]] constexpr PhiloxBlock attention_dropout_counter(std::uint32_t row,
                                                              std::uint32_t group) {
  return {row, group, 0, 0};
}

/// Whether edge (row, column) keeps its weight, given the block of its group.
[[nodiscard]] constexpr bool attention_dropout_keeps(const PhiloxBlock& block, std::uint32_t column,
                                                     std::uint32_t threshold) {
  const std::uint32_t word = block[(column / 2) & 3];
  return ((word >> (16 * (column & 1))) & 0xFFFF) >= threshold;
}

/// Whether edge (row, column) keeps its weight.
[[nodiscard]] constexpr bool attention_dropout_keeps(PhiloxKey key, std::uint32_t row,
                                                     std::uint32_t column,
                                                     std::uint32_t threshold) {
  return attention_dropout_keeps(philox4x32<7>(attention_dropout_counter(row, column / 8), key),
                                 column, threshold);
}

}  // namespace sbm::kernels
