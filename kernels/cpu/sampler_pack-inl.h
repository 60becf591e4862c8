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
