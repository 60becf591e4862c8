// Quantising and packing, once for each instruction set. Included by foreach_target.

#if defined(SBM_KERNELS_CPU_SAMPLER_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SBM_KERNELS_CPU_SAMPLER_PACK_INL_H_
#undef SBM_KERNELS_CPU_SAMPLER_PACK_INL_H_
#else
#define SBM_KERNELS_CPU_SAMPLER_PACK_INL_H_
#endif

#include <cstdint>
#include <cstring>

#include "kernels/cpu/sampler_dot-inl.h"
#include "kernels/sampler_quantize.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

/// The bits of a number in [0, 1] grow with it, so loops over integers find the largest.
constexpr std::uint32_t kOneBits = 0x3F800000;
constexpr int kBadRow = -1;

/// quantize_membership() in loops that the compiler vectorises; `quantized` is padded with a zero
/// to a pair. kBadRow when a value lies outside [0, 1].
inline int quantize_row(const float* row, std::int64_t clusters, std::uint16_t* quantized) {
  std::uint32_t largest_bits = 0;
  for (std::int64_t c = 0; c < clusters; ++c) {
    std::uint32_t bits;
    std::memcpy(&bits, row + c, sizeof(bits));
    if (bits == 0x80000000U) bits = 0;  // -0 is 0
    largest_bits = bits > largest_bits ? bits : largest_bits;
  }
  if (largest_bits > kOneBits) return kBadRow;
  float largest;
  std::memcpy(&largest, &largest_bits, sizeof(largest));
  const int exponent = membership_exponent(largest);
  const std::uint32_t scale_bits = static_cast<std::uint32_t>(exponent + 127) << 23;
  float scale;
  std::memcpy(&scale, &scale_bits, sizeof(scale));
  for (std::int64_t c = 0; c < clusters; ++c) {
    // 2^23 + a number below 2^15 rounds half to even to an integer in the low bits of the mantissa.
    const float shifted = row[c] * scale + 8388608.0F;
    std::uint32_t bits;
    std::memcpy(&bits, &shifted, sizeof(bits));
    quantized[c] = static_cast<std::uint16_t>(bits);
  }
  if (clusters % 2 != 0) quantized[clusters] = 0;
  return exponent;
}

void PackTiles(const std::uint16_t* entries, bool in_cell_order, DotTiles& tiles) {
  pack_tiles(entries, in_cell_order ? slot_of_cell : natural_slot, tiles);
}

bool QuantizeRows(const float* memberships, const std::uint8_t* valid, std::int64_t rows,
                  std::int64_t clusters, std::int64_t stride, std::uint16_t* entries,
                  std::uint8_t* exponents) {
  for (std::int64_t row = 0; row < rows; ++row) {
    std::uint16_t* quantized = entries + row * stride;
    int exponent = kLargestMembershipExponent;
    if (valid == nullptr || valid[row] != 0) {
      exponent = quantize_row(memberships + row * clusters, clusters, quantized);
      if (exponent == kBadRow) return false;
    } else {
      std::memset(quantized, 0, static_cast<std::size_t>(stride) * sizeof(*quantized));
    }
    exponents[row] = static_cast<std::uint8_t>(exponent);
  }
  return true;
}

/// floor(value * 2^shift) for value < 2^31 and a result below 2^31; any shift when value is 0.
inline std::uint32_t scale_lane(std::uint32_t value, std::int32_t shift) {
  const std::int32_t right = shift > 0 ? 0 : (shift < -31 ? 31 : -shift);
  const std::int32_t left = shift < 0 ? 0 : (shift > 31 ? 31 : shift);
  return value >> right << left;
}

/// The largest over the clusters of (bits of the product) - (exponent of the column); kNoLevel for
/// a row of zeros.
constexpr std::int32_t kNoLevel = -1000;
inline std::int32_t row_level(const std::uint32_t* product, const std::int32_t* exponents,
                              std::int64_t clusters) {
  std::int32_t level = kNoLevel;
  for (std::int64_t c = 0; c < clusters; ++c) {
    // Without the bit below its first one a number cannot round up to the next power of two.
    const auto leading = static_cast<std::int32_t>(product[c] & ~(product[c] >> 1));
    const auto bits = __builtin_bit_cast(std::int32_t, static_cast<float>(leading));
    const std::int32_t here = leading == 0 ? kNoLevel : (bits >> 23) - 126 - exponents[c];
    level = here > level ? here : level;
  }
  return level;
}

/// quantize_weights() in loops that the compiler vectorises; `product` is used up.
inline std::int32_t requantize_row(std::uint32_t* product, const std::int32_t* exponents,
                                   std::int64_t clusters, int query_exponent,
                                   std::uint16_t* weights) {
  weights[clusters] = 0;
  const std::int32_t level = row_level(product, exponents, clusters);
  if (level == kNoLevel) {
    std::memset(weights, 0, static_cast<std::size_t>(clusters) * sizeof(*weights));
    return 0;
  }
  const int most = 32 - query_exponent;
  std::int32_t exponent = 15 - level < most ? 15 - level : most;
  for (bool first = true;; first = false) {
    std::uint32_t sum = 0;
    std::uint32_t largest = 0;
    for (std::int64_t c = 0; c < clusters; ++c) {
      const std::uint32_t value = scale_lane(product[c], exponent - exponents[c]);
      sum += value;
      largest = value > largest ? value : largest;
    }
    const auto limit = kLargestWeightSum - static_cast<std::uint32_t>(clusters);
    if (largest <= kLargestCarriedEntry && sum <= limit) break;
    // Halving 2^17 or more fewer times than this leaves, with what rounding down lost, 2^17.
    const int excess = 32 - __builtin_clz(sum | 1) - 17;
    exponent -= first && excess > 1 ? excess : 1;
  }
  for (std::int64_t c = 0; c < clusters; ++c) {
    product[c] = scale_lane(product[c], exponent - exponents[c] + kCarryBits);
  }
  // The carried rounding is the difference of rounded running sums.
  std::uint32_t running = 1U << (kCarryBits - 1);
  for (std::int64_t c = 0; c < clusters; ++c) {
    running += product[c];
    product[c] = running;
  }
  std::uint32_t before = 0;
  for (std::int64_t c = 0; c < clusters; ++c) {
    const std::uint32_t here = product[c] >> kCarryBits;
    weights[c] = static_cast<std::uint16_t>(here - before);
    before = here;
  }
  return query_exponent + exponent - 32;
}

/// Sets rows [0, count) of W, kProductStride apart, and their exponents R, from Qhat S.
void RequantizeRows(std::uint32_t* products, int count, const std::int32_t* block_exponents,
                    std::int64_t clusters, const std::uint8_t* query_exponents,
                    std::uint16_t* weights, std::int32_t* row_exponents) {
  for (int row = 0; row < count; ++row) {
    row_exponents[row] = requantize_row(products + row * kProductStride, block_exponents, clusters,
                                        query_exponents[row], weights + row * kWeightStride);
  }
}

/// products[row * kProductStride + c] = sum over a of Qhat[row][a] S[a][c].
void MultiplyRows(const std::uint16_t* const* rows, int count, const DotTiles& columns,
                  std::uint32_t* products) {
  for (std::int64_t block = 0; block < columns.blocks(); ++block) {
    dot_block(columns, block, rows, count, products + block * kBlockKeys, kProductStride);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
