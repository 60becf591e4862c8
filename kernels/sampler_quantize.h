#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <span>

#include "base/host_device.h"

// From floats to the integers of the sampler contract (docs/sampler.md, sections 3 and 4). Floating
// point appears only where it is exact: scaling by powers of two and rounding to an integer.
namespace sbm::kernels {

/// The largest entry of a quantised row; one below it leaves room for a carried rounding error.
inline constexpr std::uint32_t kLargestEntry = 32767;
inline constexpr std::uint32_t kLargestCarriedEntry = kLargestEntry - 1;
/// A membership above 2^-16 keeps all its 15 bits; the clamp keeps every shift below 32.
inline constexpr int kLargestMembershipExponent = 31;
inline constexpr int kLargestBlockExponent = 60;
/// Sum of a column of S, so that W = Qhat S is below 2^31; sum of a row of W, so that the
/// accumulator is below 2^32.
inline constexpr std::uint32_t kLargestBlockColumnSum = 65536;
inline constexpr std::uint32_t kLargestWeightSum = 131071;
/// Fractional bits that are carried from one entry to the next.
inline constexpr int kCarryBits = 16;

/// The exponent of a row of memberships with this largest value: the largest e <= 31 for which
/// round(largest * 2^e) <= 32767. `largest` lies in [0, 1].
[[nodiscard]] SBM_HOST_DEVICE inline int membership_exponent(float largest) {
  if (largest == 0.0F) return kLargestMembershipExponent;
  int exponent = 0;
  const float fraction = std::frexp(largest, &exponent);
  const bool rounds_up = std::nearbyint(fraction * 32768.0F) > static_cast<float>(kLargestEntry);
  const int whole = 15 - exponent - (rounds_up ? 1 : 0);
  return whole < kLargestMembershipExponent ? whole : kLargestMembershipExponent;
}

/// Quantises one row of Qhat or Khat, every value in [0, 1]; returns its exponent.
inline int quantize_membership(std::span<const float> row, std::uint16_t* quantized) {
  float largest = 0.0F;
  for (const float value : row) largest = std::max(largest, value);
  const int exponent = membership_exponent(largest);
  const float scale = std::ldexp(1.0F, exponent);
  for (std::size_t c = 0; c < row.size(); ++c) {
    quantized[c] = static_cast<std::uint16_t>(std::nearbyint(row[c] * scale));
  }
  return exponent;
}

/// Rounds a sequence of numbers with kCarryBits fractional bits half up, each with the error of
/// those before it: so every partial sum is within one half of the exact one, and a zero stays
/// zero.
class CarriedRounding {
 public:
  [[nodiscard]] std::uint16_t round(std::uint32_t value) {
    const std::uint32_t sum = value + carry_;
    carry_ = sum & ((1U << kCarryBits) - 1);
    return static_cast<std::uint16_t>(sum >> kCarryBits);
  }

 private:
  std::uint32_t carry_ = 1U << (kCarryBits - 1);
};

/// Quantises a column of S, its entries finite, >= 0 and `stride` apart, to quantized[clusters].
/// Returns its exponent: the largest e <= 60 for which no entry's floor(S 2^e) exceeds 32766 and
/// their sum is at most 65536 - clusters.
inline int quantize_block_column(const float* column, std::int64_t clusters, std::int64_t stride,
                                 std::uint16_t* quantized) {
  float largest = 0.0F;
  for (std::int64_t a = 0; a < clusters; ++a) largest = std::max(largest, column[a * stride]);
  int exponent = kLargestBlockExponent;
  if (largest > 0.0F) {
    int binary_exponent = 0;
    (void)std::frexp(largest, &binary_exponent);
    exponent = std::min(exponent, 15 - binary_exponent);
  }
  const auto fits = [&](int candidate) {
    const double scale = std::ldexp(1.0, candidate);
    if (static_cast<std::uint32_t>(largest * scale) > kLargestCarriedEntry) return false;
    std::uint32_t sum = static_cast<std::uint32_t>(clusters);
    for (std::int64_t a = 0; a < clusters; ++a) {
      sum += static_cast<std::uint32_t>(column[a * stride] * scale);
    }
    return sum <= kLargestBlockColumnSum;
  };
  while (!fits(exponent)) --exponent;

  const double scale = std::ldexp(1.0, exponent + kCarryBits);
  CarriedRounding rounding;
  for (std::int64_t a = 0; a < clusters; ++a) {
    const auto value = static_cast<std::uint32_t>(column[a * stride] * scale);
    quantized[a] = rounding.round(value);
  }
  return exponent;
}

/// floor(value * 2^shift) for value < 2^31; the caller knows that it fits 32 bits.
[[nodiscard]] SBM_HOST_DEVICE constexpr std::uint32_t scale_by_power(std::uint32_t value,
                                                                     int shift) {
  if (shift >= 0) return value == 0 ? 0 : value << shift;
  return shift <= -32 ? 0 : value >> -shift;
}

/// Re-quantises one row of the exact product W' = Qhat S to `weights`, with the rounding error
/// carried along the clusters. Returns R, the row's exponent less 32: P_ij = 2^-(32 + R + e_j)
/// sum_c W_ic K_jc. The row's own exponent r = R + 32 - e_i (`query_exponent`) is the largest that
/// is at most 32 - e_i, for which no floor(W' 2^(r - e_c)) exceeds 32766 and their sum is at most
/// 131071 - clusters. A row of zeros has R = 0.
inline int quantize_weights(std::span<const std::uint32_t> product,
                            std::span<const std::int32_t> block_exponents, int query_exponent,
                            std::uint16_t* weights) {
  constexpr int kNone = -1000;
  int level = kNone;
  for (std::size_t c = 0; c < product.size(); ++c) {
    if (product[c] == 0) continue;
    level = std::max(level, static_cast<int>(std::bit_width(product[c])) - block_exponents[c]);
  }
  if (level == kNone) {
    std::fill_n(weights, product.size(), std::uint16_t{0});
    return 0;
  }
  const auto fits = [&](int candidate) {
    std::uint32_t sum = static_cast<std::uint32_t>(product.size());
    std::uint32_t largest = 0;
    for (std::size_t c = 0; c < product.size(); ++c) {
      const std::uint32_t value = scale_by_power(product[c], candidate - block_exponents[c]);
      sum += value;
      largest = std::max(largest, value);
    }
    return largest <= kLargestCarriedEntry && sum <= kLargestWeightSum;
  };
  int exponent = std::min(15 - level, 32 - query_exponent);
  while (!fits(exponent)) --exponent;

  CarriedRounding rounding;
  for (std::size_t c = 0; c < product.size(); ++c) {
    weights[c] =
        rounding.round(scale_by_power(product[c], exponent - block_exponents[c] + kCarryBits));
  }
  return query_exponent + exponent - 32;
}

}  // namespace sbm::kernels
