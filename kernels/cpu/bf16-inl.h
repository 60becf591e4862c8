// Numbers rounded to bfloat16 and sums of their products in pairs, once for each instruction set.
// Included by foreach_target.

#if defined(SBM_KERNELS_CPU_BF16_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SBM_KERNELS_CPU_BF16_INL_H_
#undef SBM_KERNELS_CPU_BF16_INL_H_
#else
#define SBM_KERNELS_CPU_BF16_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

namespace bf16 {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Vector = hn::Vec<Floats>;
using Words = hn::RebindToUnsigned<Floats>;
using Word = hn::Vec<Words>;
constexpr Floats kFloats;
constexpr Words kWords;
constexpr std::int64_t kLanes = static_cast<std::int64_t>(hn::MaxLanes(Floats()));

/// The nearest bfloat16 of each lane, ties to even, as a float's bits; a NaN stays one.
HWY_INLINE Word rounded(Vector values) {
  const Word bits = hn::BitCast(kWords, values);
  const Word odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(kWords, 1U));
  const Word up = hn::Add(bits, hn::Add(odd, hn::Set(kWords, 0x7FFFU)));
  // Rounding up would carry some NaNs over to zero.
  const Word quiet = hn::Or(bits, hn::Set(kWords, 0x00400000U));
  const auto is_nan = hn::RebindMask(kWords, hn::IsNaN(values));
  return hn::And(hn::IfThenElse(is_nan, quiet, up), hn::Set(kWords, 0xFFFF0000U));
}

/// The upper halves of a rounded() vector, one behind the other.
HWY_INLINE void store_upper_halves(Word rounded, std::uint16_t* to) {
  const hn::Rebind<hwy::bfloat16_t, Floats> halves;
  const hn::RebindToUnsigned<decltype(halves)> integers;
  hn::StoreU(hn::BitCast(integers, hn::DemoteTo(halves, hn::BitCast(kFloats, rounded))), integers,
             to);
}

/// Two rounded() numbers in a word, `first` in its lower half.
HWY_INLINE Word pair_of(Word first, Word second) {
  return hn::Or(hn::ShiftRight<16>(first), second);
}

/// sum + the products of the upper halves + those of the lower ones. kNative: by the instruction of
/// AVX-512 BF16, which rounds in the same places, but takes numbers below 2^-126 for 0.
template <bool kNative>
HWY_INLINE Vector add_pair_products(Word a, Word b, Vector sum) {
#if HWY_TARGET == HWY_AVX3_DL
  if constexpr (kNative) {
    // As an intrinsic, g++ 12 copies and spills the accumulators.
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
    return sum;
  }
#endif
  const Word upper = hn::Set(kWords, 0xFFFF0000U);
  const auto high = [&](Word pair) HWY_ATTR { return hn::BitCast(kFloats, hn::And(pair, upper)); };
  const auto low = [](Word pair) HWY_ATTR { return hn::BitCast(kFloats, hn::ShiftLeft<16>(pair)); };
  return hn::MulAdd(low(a), low(b), hn::MulAdd(high(a), high(b), sum));
}

}  // namespace bf16

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif  // include guard
