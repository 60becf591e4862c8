// From accumulators to thresholds by vectors, once for each instruction set. Included by
// foreach_target.

#if defined(SBM_KERNELS_CPU_SAMPLER_THRESHOLD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SBM_KERNELS_CPU_SAMPLER_THRESHOLD_INL_H_
#undef SBM_KERNELS_CPU_SAMPLER_THRESHOLD_INL_H_
#else
#define SBM_KERNELS_CPU_SAMPLER_THRESHOLD_INL_H_
#endif

#include <cstdint>
#include <cstring>

#include "kernels/cpu/sampler_random-inl.h"
#include "kernels/sampler_threshold.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET != HWY_SCALAR

using ShortWords = hn::Repartition<std::uint16_t, Words>;
using ShortWord = hn::Vec<ShortWords>;
constexpr ShortWords kShortWords;

template <class Tag, class Mask>
HWY_INLINE std::uint64_t bits_of([[maybe_unused]] Tag tag, Mask mask) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  // When g++ 12 widens a mask register straight into a spill slot, it writes the mask's own two or
  // four bytes of the eight and reads all of them later. From a general register it widens in full.
  auto narrow = mask.raw;
  asm("" : "+r"(narrow));
  return narrow;
#else
  std::uint8_t bytes[8] = {};
  hn::StoreMaskBits(tag, mask, bytes);
  std::uint64_t bits;
  std::memcpy(&bits, bytes, sizeof(bits));
  return bits;
#endif
}

/// probability_units() of a vector.
template <bool kLeftShifts>
HWY_INLINE Word probabilities(Word accumulator, Sum shift) {
  if constexpr (!kLeftShifts) return hn::Shr(accumulator, hn::BitCast(kWords, shift));
  const Sum zero = hn::Zero(Sums());
  const Word right = hn::BitCast(kWords, hn::Max(shift, zero));
  const Word left =
      hn::BitCast(kWords, hn::Min(hn::Max(hn::Neg(shift), zero), hn::Set(Sums(), 31)));
  const Word largest = hn::Set(kWords, kLargestThreshold);
  const auto overflows = hn::Gt(accumulator, hn::Shr(largest, left));
  return hn::IfThenElse(overflows, largest, hn::Shl(hn::Shr(accumulator, right), left));
}

/// floor(a * b / 2^32).
HWY_INLINE Word multiply_high(Word a, Word b) {
  const Double even = hn::ShiftRight<32>(hn::MulEven(a, b));
  const Double odd = multiply_low(hn::ShiftRight<32>(hn::BitCast(kDoubles, a)),
                                  hn::ShiftRight<32>(hn::BitCast(kDoubles, b)));
  return hn::OddEven(hn::BitCast(kWords, odd), hn::BitCast(kWords, even));
}

/// poisson_threshold(probability + exploration), step by step the same.
HWY_INLINE Word poisson_thresholds(Word probability, Word exploration) {
  const Word sum = hn::Add(probability, exploration);
  const auto carry = hn::Lt(sum, probability);
  const Word z =
      hn::Or(hn::ShiftRight<1>(sum), hn::IfThenElseZero(carry, hn::Set(kWords, 0x80000000U)));
  Word series = hn::Set(kWords, kPoissonSeries[8]);
  for (int n = 7; n >= 0; --n) {
    series = hn::Sub(hn::Set(kWords, kPoissonSeries[n]), multiply_high(z, series));
  }
  const Word factor =
      hn::Sub(hn::Set(kWords, 0x80000000U), hn::ShiftRight<1>(multiply_high(z, series)));
  const Double even = hn::ShiftRight<31>(hn::MulEven(sum, factor));
  const Double odd =
      hn::ShiftLeft<1>(multiply_low(hn::ShiftRight<32>(hn::BitCast(kDoubles, sum)),
                                    hn::ShiftRight<32>(hn::BitCast(kDoubles, factor))));
  const Word low = hn::OddEven(hn::BitCast(kWords, odd), hn::BitCast(kWords, even));
  return hn::Add(low, hn::IfThenElseZero(carry, hn::ShiftLeft<1>(factor)));
}

struct Thresholds {
  Word thresholds;
  hn::Mask<Words> saturated;
};

/// edge_threshold() and is_saturated() of a vector.
template <MaskLaw kLaw>
HWY_INLINE Thresholds thresholds_of(Word probability, std::uint32_t exploration) {
  const Word room = hn::Set(kWords, kLargestThreshold - exploration);
  const Word capped = hn::Min(probability, room);
  const Word added = hn::Set(kWords, exploration);
  const auto saturated = hn::Eq(capped, room);
  if constexpr (kLaw == MaskLaw::kBernoulli) return {hn::Add(capped, added), saturated};
  return {poisson_thresholds(probability, added), saturated};
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
