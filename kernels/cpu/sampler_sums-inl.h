// Sums over keys and clusters, such as those that decide a row's branch, once for each instruction
// set. Included by foreach_target.

#if defined(SBM_KERNELS_CPU_SAMPLER_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SBM_KERNELS_CPU_SAMPLER_SUMS_INL_H_
#undef SBM_KERNELS_CPU_SAMPLER_SUMS_INL_H_
#else
#define SBM_KERNELS_CPU_SAMPLER_SUMS_INL_H_
#endif

#include <cstdint>
#include <cstring>

#include "kernels/cpu/sampler_random-inl.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR

inline void add_proposals(const std::uint16_t* entries, ProposalScale scale, std::int64_t stride,
                          std::uint64_t* sums, std::uint32_t* largest) {
  for (std::int64_t c = 0; c < stride; ++c) {
    const std::uint32_t weight = scale.weight(entries[c]);
    sums[c % 2 * (stride / 2) + c / 2] += weight;
    largest[c] = weight > largest[c] ? weight : largest[c];
  }
}

RowTotals SumWeights(const std::uint16_t* weights, const KeyTotals& totals, std::int64_t clusters) {
  RowTotals sums;
  for (std::int64_t c = 0; c < clusters; ++c) {
    sums.total += weights[c] * (std::uint64_t{totals.high.data()[c]} << 32 | totals.low.data()[c]);
    sums.largest += std::uint64_t{weights[c]} * totals.largest.data()[c];
  }
  return sums;
}

#else

HWY_INLINE void add_proposals(const std::uint16_t* entries, ProposalScale scale,
                              std::int64_t stride, std::uint64_t* sums, std::uint32_t* largest) {
  const Word up = hn::Set(kWords, (1U << scale.right) - 1);
  const Double low_half = hn::Set(kDoubles, 0xFFFFFFFF);
  std::uint64_t* even = sums;
  std::uint64_t* odd = sums + stride / 2;
  for (std::int64_t c = 0; c < stride; c += kLanes, even += kLanes / 2, odd += kLanes / 2) {
    const Word entry = hn::PromoteTo(kWords, hn::Load(HalfShorts(), entries + c));
    const Word weight =
        hn::ShiftRightSame(hn::Add(hn::ShiftLeftSame(entry, scale.left), up), scale.right);
    hn::Store(hn::Max(weight, hn::Load(kWords, largest + c)), kWords, largest + c);
    const Double pair = hn::BitCast(kDoubles, weight);
    hn::Store(hn::Add(hn::Load(kDoubles, even), hn::And(pair, low_half)), kDoubles, even);
    hn::Store(hn::Add(hn::Load(kDoubles, odd), hn::ShiftRight<32>(pair)), kDoubles, odd);
  }
}

/// The sum of both products in every 64 bits.
HWY_INLINE Double add_wide_products(Word a, Word b, Double sum) {
  const Double odd = multiply_low(hn::ShiftRight<32>(hn::BitCast(kDoubles, a)),
                                  hn::ShiftRight<32>(hn::BitCast(kDoubles, b)));
  return hn::Add(sum, hn::Add(hn::MulEven(a, b), odd));
}

RowTotals SumWeights(const std::uint16_t* weights, const KeyTotals& totals, std::int64_t clusters) {
  Double low = hn::Zero(kDoubles);
  Double high = hn::Zero(kDoubles);
  Double largest = hn::Zero(kDoubles);
  for (std::int64_t c = 0; c < clusters; c += kLanes) {
    const Word weight = hn::PromoteTo(kWords, hn::Load(HalfShorts(), weights + c));
    low = add_wide_products(weight, hn::Load(kWords, totals.low.data() + c), low);
    high = add_wide_products(weight, hn::Load(kWords, totals.high.data() + c), high);
    largest = add_wide_products(weight, hn::Load(kWords, totals.largest.data() + c), largest);
  }
  return {hn::GetLane(hn::SumOfLanes(kDoubles, low)) +
              (hn::GetLane(hn::SumOfLanes(kDoubles, high)) << 32),
          hn::GetLane(hn::SumOfLanes(kDoubles, largest))};
}

#endif

void SumKeys(const QuantizedKeys& keys, int least_exponent, int scale_bits, std::uint64_t* strips,
             std::uint32_t* largest) {
  const std::int64_t stride = keys.stride;
  const std::int64_t count = (keys.count() + kStripKeys - 1) / kStripKeys;
  HWY_ALIGN std::uint64_t sums[kWeightStride] = {};
  std::memset(largest, 0, static_cast<std::size_t>(stride) * sizeof(*largest));
  for (std::int64_t strip = 0; strip <= count; ++strip) {
    for (std::int64_t c = 0; c < keys.clusters; ++c) {
      strips[c * (count + 1) + strip] = sums[c % 2 * (stride / 2) + c / 2];
    }
    for (std::int64_t key = strip * kStripKeys; key < (strip + 1) * kStripKeys; ++key) {
      if (key >= keys.count() || !keys.is_valid(key)) continue;
      const int exponent = keys.exponents[static_cast<std::size_t>(key)];
      add_proposals(keys.row(key), ProposalScale(scale_bits - (exponent - least_exponent)), stride,
                    sums, largest);
    }
  }
}

#if HWY_TARGET != HWY_SCALAR

/// The sum of the lanes modulo 2^32; Highway's own is an addition of signed numbers at its end.
HWY_INLINE std::uint32_t sum_lanes(Sum lanes) {
  lanes = hn::Add(lanes, hn::Shuffle1032(lanes));
  lanes = hn::Add(lanes, hn::Shuffle2301(lanes));
  if constexpr (kLanes > 4) lanes = hn::Add(lanes, hn::SwapAdjacentBlocks(lanes));
  if constexpr (kLanes > 8) lanes = hn::Add(lanes, hn::ConcatLowerUpper(Sums(), lanes, lanes));
  return static_cast<std::uint32_t>(hn::GetLane(lanes));
}

#endif

void AccumulateKeys(const std::uint16_t* weights, const QuantizedKeys& keys,
                    const std::int32_t* columns, std::int64_t count, std::uint32_t* sums) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint16_t* key = keys.row(columns[i]);
#if HWY_TARGET == HWY_SCALAR
    sums[i] = accumulate(weights, key, keys.clusters);
#else
    Sum sum = hn::Zero(Sums());
    for (std::int64_t c = 0; c < keys.clusters; c += 2 * kLanes) {
      sum = add_products(hn::Load(Halves(), reinterpret_cast<const std::int16_t*>(weights) + c),
                         hn::Load(Halves(), reinterpret_cast<const std::int16_t*>(key) + c), sum);
    }
    sums[i] = sum_lanes(sum);
#endif
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
