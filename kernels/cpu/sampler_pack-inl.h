// Quantising, once for each instruction set. Included by foreach_target.

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

constexpr int kBadRow = -1;
constexpr std::uint32_t kOneBits = 0x3F800000;
constexpr std::uint32_t kMinusZeroBits = 0x80000000;

/// membership_exponent() of the number with these bits, from 0 to 1.
inline int exponent_of_bits(std::uint32_t bits) {
  // A fraction of 32767.5 / 32768 or more would round to 32768.
  const bool rounds_up = (bits & 0x7FFFFF) >= 0x7FFF00;
  const int exponent = 15 - (static_cast<int>(bits >> 23) - 126) - (rounds_up ? 1 : 0);
  return exponent < kLargestMembershipExponent ? exponent : kLargestMembershipExponent;
}

#if HWY_TARGET == HWY_SCALAR

/// quantize_membership(); `quantized` is filled up with zeros. kBadRow when a value lies outside
/// [0, 1].
inline int quantize_row(const float* row, std::int64_t clusters, std::int64_t stride,
                        std::uint16_t* quantized) {
  std::uint32_t largest = 0;
  for (std::int64_t c = 0; c < clusters; ++c) {
    std::uint32_t bits;
    std::memcpy(&bits, row + c, sizeof(bits));
    if (bits == kMinusZeroBits) bits = 0;
    largest = bits > largest ? bits : largest;
  }
  if (largest > kOneBits) return kBadRow;
  const int exponent = exponent_of_bits(largest);
  const auto scale = static_cast<float>(1U << exponent);
  for (std::int64_t c = 0; c < clusters; ++c) {
    // 2^23 + a number below 2^15 rounds half to even to an integer in the low bits of the mantissa.
    const float shifted = row[c] * scale + 8388608.0F;
    std::uint32_t bits;
    std::memcpy(&bits, &shifted, sizeof(bits));
    quantized[c] = static_cast<std::uint16_t>(bits);
  }
  for (std::int64_t c = clusters; c < stride; ++c) quantized[c] = 0;
  return exponent;
}

/// quantize_weights(); `weights` is filled up with zeros.
inline std::int32_t requantize_row(const std::uint32_t* product, const std::int32_t* exponents,
                                   std::int64_t clusters, int query_exponent,
                                   std::uint16_t* weights) {
  for (std::int64_t c = clusters; c < entry_stride(clusters); ++c) weights[c] = 0;
  return quantize_weights({product, static_cast<std::size_t>(clusters)},
                          {exponents, static_cast<std::size_t>(clusters)}, query_exponent, weights);
}

#else

using Floats = hn::RebindToFloat<Words>;
using Float = hn::Vec<Floats>;
constexpr Floats kFloats;

/// The last, incomplete vector of a row, filled up with zeros: nothing beyond the row is read.
HWY_INLINE Float load_tail(const float* row, std::int64_t count) {
  HWY_ALIGN float lanes[kLanes] = {};
  std::memcpy(lanes, row, static_cast<std::size_t>(count) * sizeof(float));
  return hn::Load(kFloats, lanes);
}

/// Bits of numbers from 0 to 1 grow with them; those of all others are larger.
HWY_INLINE Word ordered_bits(Float values) {
  const Word bits = hn::BitCast(kWords, values);
  return hn::IfThenZeroElse(hn::Eq(bits, hn::Set(kWords, kMinusZeroBits)), bits);
}

HWY_INLINE void store_quantized(Float values, Float scale, std::uint16_t* quantized) {
  hn::Store(hn::DemoteTo(HalfShorts(), hn::NearestInt(hn::Mul(values, scale))), HalfShorts(),
            quantized);
}

/// quantize_membership(); `quantized` is filled up with zeros. kBadRow when a value lies outside
/// [0, 1].
HWY_INLINE int quantize_row(const float* row, std::int64_t clusters, std::int64_t stride,
                            std::uint16_t* quantized) {
  const std::int64_t whole = clusters / kLanes * kLanes;
  const Float tail = load_tail(row + whole, clusters - whole);
  Word most = ordered_bits(tail);
  for (std::int64_t c = 0; c < whole; c += kLanes) {
    most = hn::Max(most, ordered_bits(hn::LoadU(kFloats, row + c)));
  }
  const std::uint32_t largest = hn::GetLane(hn::MaxOfLanes(kWords, most));
  if (largest > kOneBits) return kBadRow;
  const int exponent = exponent_of_bits(largest);
  const Float scale = hn::Set(kFloats, static_cast<float>(1U << exponent));
  for (std::int64_t c = 0; c < whole; c += kLanes) {
    store_quantized(hn::LoadU(kFloats, row + c), scale, quantized + c);
  }
  for (std::int64_t c = whole; c < stride; c += kLanes) {
    store_quantized(c == whole ? tail : hn::Zero(kFloats), scale, quantized + c);
  }
  return exponent;
}

/// floor(value * 2^shift) for value < 2^31 and a result below 2^31; any shift when value is 0.
HWY_INLINE Word scale_by_powers(Word value, Sum shift) {
  const Sum zero = hn::Zero(Sums());
  const Sum most = hn::Set(Sums(), 31);
  const Word left = hn::BitCast(kWords, hn::Min(hn::Max(shift, zero), most));
  const Word right = hn::BitCast(kWords, hn::Min(hn::Max(hn::Neg(shift), zero), most));
  return hn::Shl(hn::Shr(value, right), left);
}

/// Running sums of the lanes.
HWY_INLINE Word running_sums(Word values) {
  values = hn::Add(values, hn::ShiftLeftLanes<1>(kWords, values));
  values = hn::Add(values, hn::ShiftLeftLanes<2>(kWords, values));
  if constexpr (kLanes > 4) {
    // The last sum of the quarter before; then the last one two quarters before.
    HWY_ALIGN static constexpr std::int32_t kBefore[16] = {0, 0, 0, 0, 3,  3,  3,  3,
                                                           7, 7, 7, 7, 11, 11, 11, 11};
    const auto number = hn::Iota(kWords, 0);
    const Word before = hn::TableLookupLanes(values, hn::SetTableIndices(kWords, kBefore));
    values = hn::Add(values, hn::IfThenElseZero(hn::Gt(number, hn::Set(kWords, 3)), before));
    if constexpr (kLanes > 8) {
      HWY_ALIGN static constexpr std::int32_t kTwoBefore[16] = {0, 0, 0, 0, 0, 0, 0, 0,
                                                                3, 3, 3, 3, 7, 7, 7, 7};
      const Word earlier = hn::TableLookupLanes(values, hn::SetTableIndices(kWords, kTwoBefore));
      values = hn::Add(values, hn::IfThenElseZero(hn::Gt(number, hn::Set(kWords, 7)), earlier));
    }
  }
  return values;
}

HWY_INLINE Word last_lane(Word values) {
  if constexpr (kLanes == 4) {
    return hn::Broadcast<3>(values);
  } else {
    HWY_ALIGN static constexpr std::int32_t kLast[16] = {
        kLanes - 1, kLanes - 1, kLanes - 1, kLanes - 1, kLanes - 1, kLanes - 1,
        kLanes - 1, kLanes - 1, kLanes - 1, kLanes - 1, kLanes - 1, kLanes - 1,
        kLanes - 1, kLanes - 1, kLanes - 1, kLanes - 1};
    return hn::TableLookupLanes(values, hn::SetTableIndices(kWords, kLast));
  }
}

/// The largest over the clusters of (bits of the product) - (exponent of the column); kNoLevel for
/// a row of zeros.
constexpr std::int32_t kNoLevel = -1000;
HWY_INLINE std::int32_t row_level(const std::uint32_t* product, const std::int32_t* exponents,
                                  std::int64_t clusters) {
  Sum level = hn::Set(Sums(), kNoLevel);
  for (std::int64_t c = 0; c < clusters; c += kLanes) {
    const Word value = hn::Load(kWords, product + c);
    // Without the bit below its first one a number cannot round up to the next power of two.
    const Word leading = hn::AndNot(hn::ShiftRight<1>(value), value);
    const Float as_float = hn::ConvertTo(kFloats, hn::BitCast(Sums(), leading));
    const Sum bits =
        hn::Sub(hn::ShiftRight<23>(hn::BitCast(Sums(), as_float)), hn::Set(Sums(), 126));
    const Sum here = hn::Sub(bits, hn::LoadU(Sums(), exponents + c));
    const auto none = hn::Eq(hn::BitCast(Sums(), value), hn::Zero(Sums()));
    level = hn::Max(level, hn::IfThenElse(none, hn::Set(Sums(), kNoLevel), here));
  }
  return hn::GetLane(hn::MaxOfLanes(Sums(), level));
}

/// quantize_weights(); `weights` is filled up with zeros. Products and exponents are filled up to
/// whole vectors, products with zeros.
HWY_INLINE std::int32_t requantize_row(const std::uint32_t* product, const std::int32_t* exponents,
                                       std::int64_t clusters, int query_exponent,
                                       std::uint16_t* weights) {
  const std::int32_t level = row_level(product, exponents, clusters);
  if (level == kNoLevel) {
    std::memset(weights, 0, static_cast<std::size_t>(entry_stride(clusters)) * sizeof(*weights));
    return 0;
  }
  const int most = 32 - query_exponent;
  std::int32_t exponent = 15 - level < most ? 15 - level : most;
  for (bool first = true;; first = false) {
    Word sums = hn::Zero(kWords);
    Word largest = hn::Zero(kWords);
    const Sum power = hn::Set(Sums(), exponent);
    for (std::int64_t c = 0; c < clusters; c += kLanes) {
      const Sum shift = hn::Sub(power, hn::LoadU(Sums(), exponents + c));
      const Word value = scale_by_powers(hn::Load(kWords, product + c), shift);
      sums = hn::Add(sums, value);
      largest = hn::Max(largest, value);
    }
    const std::uint32_t sum = hn::GetLane(hn::SumOfLanes(kWords, sums));
    const bool fits = hn::AllFalse(kWords, hn::Gt(largest, hn::Set(kWords, kLargestCarriedEntry)));
    if (fits && sum <= kLargestWeightSum - static_cast<std::uint32_t>(clusters)) break;
    // Halving 2^17 or more fewer times than this leaves, with what rounding down lost, 2^17.
    const int excess = 32 - __builtin_clz(sum | 1) - 17;
    exponent -= first && excess > 1 ? excess : 1;
  }
  // The carried rounding is the difference of rounded running sums.
  const Sum power = hn::Set(Sums(), exponent + kCarryBits);
  Word carried = hn::Set(kWords, 1U << (kCarryBits - 1));
  for (std::int64_t c = 0; c < entry_stride(clusters); c += kLanes) {
    Word rounded = hn::Zero(kWords);
    if (c < clusters) {
      const Sum shift = hn::Sub(power, hn::LoadU(Sums(), exponents + c));
      const Word value = scale_by_powers(hn::Load(kWords, product + c), shift);
      const Word after = hn::Add(running_sums(value), carried);
      const Word before = hn::Sub(after, value);
      rounded =
          hn::And(hn::Sub(hn::ShiftRight<kCarryBits>(after), hn::ShiftRight<kCarryBits>(before)),
                  hn::Set(kWords, 0xFFFF));
      carried = last_lane(after);
    }
    hn::Store(hn::DemoteTo(HalfShorts(), hn::BitCast(Sums(), rounded)), HalfShorts(), weights + c);
  }
  return query_exponent + exponent - 32;
}

#endif

bool QuantizeRows(const float* memberships, const std::uint8_t* valid, std::int64_t rows,
                  std::int64_t clusters, std::int64_t stride, std::uint16_t* entries,
                  std::uint8_t* exponents) {
  for (std::int64_t row = 0; row < rows; ++row) {
    std::uint16_t* quantized = entries + row * stride;
    int exponent = kLargestMembershipExponent;
    if (valid == nullptr || valid[row] != 0) {
      exponent = quantize_row(memberships + row * clusters, clusters, stride, quantized);
      if (exponent == kBadRow) return false;
    } else {
      std::memset(quantized, 0, static_cast<std::size_t>(stride) * sizeof(*quantized));
    }
    exponents[row] = static_cast<std::uint8_t>(exponent);
  }
  return true;
}

/// Sets rows [0, count) of W, kWeightStride apart, and their exponents R, from Qhat S.
void RequantizeRows(const std::uint32_t* products, int count, const std::int32_t* block_exponents,
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
    dot_block(columns, block, rows, count, KeepSums{products + block * kBlockKeys, kProductStride});
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
