// The random numbers of whole blocks of cells, once for each instruction set. Included by
// foreach_target.

#if defined(SBM_KERNELS_CPU_SAMPLER_RANDOM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SBM_KERNELS_CPU_SAMPLER_RANDOM_INL_H_
#undef SBM_KERNELS_CPU_SAMPLER_RANDOM_INL_H_
#else
#define SBM_KERNELS_CPU_SAMPLER_RANDOM_INL_H_
#endif

#include <cstdint>

#include "kernels/cpu/sampler_dot-inl.h"
#include "kernels/sampler_counters.h"
#include "kernels/sampler_stream.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

/// The random numbers of the rows of a call.
struct RandomRows {
  RoundKeys keys;
  RowStream streams[kGroupRows];

  explicit RandomRows(const CellsCall& call) : keys(call.stream) {
    for (int row = 0; row < call.rows; ++row) {
      streams[row] = RowStream(keys, call.row_numbers[row]);
    }
  }
};

#if HWY_TARGET == HWY_SCALAR

/// The upper halves of the uniforms of a block, in the order of its cells.
inline void draw_halves(const CellsCall& call, const RandomRows& /*random*/, int row,
                        std::int64_t block, std::uint16_t* halves) {
  for (std::uint32_t index = 0; index < 8; ++index) {
    const PhiloxBlock words = philox4x32<kSamplerPhiloxRounds>(
        {call.row_numbers[row], static_cast<std::uint32_t>(block) * 8 + index, 0, kHighBitsTag},
        call.stream);
    std::uint16_t* to = halves + 32 * (index / 4) + 2 * (index % 4);
    for (std::size_t word = 0; word < 4; ++word, to += 8) {
      to[0] = static_cast<std::uint16_t>(words[word]);
      to[1] = static_cast<std::uint16_t>(words[word] >> 16);
    }
  }
}

#else

using Doubles = hn::RepartitionToWide<Words>;
using Double = hn::Vec<Doubles>;
constexpr Doubles kDoubles;

/// The low 32 bits of every 64-bit lane, multiplied.
HWY_INLINE Double multiply_low(Double a, Double b) {
  return hn::MulEven(hn::BitCast(kWords, a), hn::BitCast(kWords, b));
}

/// The same number in both halves of every lane: the upper ones are never looked at.
HWY_INLINE Double set_low(std::uint32_t number) {
  return hn::BitCast(kDoubles, hn::Set(kWords, number));
}

/// The low halves of the 64-bit lanes, side by side.
HWY_INLINE Word beside(Double low, Double high) {
  return hn::OddEven(hn::BitCast(kWords, hn::ShiftLeft<32>(high)), hn::BitCast(kWords, low));
}

/// Words 0 and 1, and words 2 and 3, of kLanes / 2 consecutive calls, side by side.
struct RandomWords {
  Word first;
  Word second;
};

HWY_INLINE RandomWords draw_words(const RoundKeys& keys, const RowStream& row,
                                  const std::uint64_t* call_products) {
  const Double multiplier0 = hn::Set(kDoubles, kPhiloxMultiplier0);
  const Double multiplier1 = hn::Set(kDoubles, kPhiloxMultiplier1);
  const Double call = hn::Load(kDoubles, call_products);
  const Double third =
      multiply_low(multiplier1, hn::Xor(hn::ShiftRight<32>(call), set_low(row.word2)));
  // Each word in the low half of a 64-bit lane; what the upper halves hold is of no use.
  Double word0 = hn::Xor(hn::ShiftRight<32>(third), set_low(row.word0_after));
  Double word1 = third;
  Double word2 = hn::Xor(call, set_low(row.word2_after));
  Double word3 = set_low(row.word3_after);
  for (int round = 3; round < kSamplerPhiloxRounds; ++round) {
    const Double product0 = multiply_low(multiplier0, word0);
    const Double product1 = multiply_low(multiplier1, word2);
    word0 = hn::Xor3(hn::ShiftRight<32>(product1), word1, set_low(keys.low[round]));
    word1 = product1;
    word2 = hn::Xor3(hn::ShiftRight<32>(product0), word3, set_low(keys.high[round]));
    word3 = product0;
  }
  return {beside(word0, word1), beside(word2, word3)};
}

/// The upper halves of the uniforms of a block, in the order of its cells: pair t of the 8 cells
/// that 4 calls share is word t.
HWY_INLINE void draw_halves(const CellsCall& call, const RandomRows& random, int row,
                            std::int64_t block, std::uint16_t* halves) {
  const std::uint64_t* products = call.call_products + block * 8;
  const RowStream& stream = random.streams[row];
  auto* out = reinterpret_cast<std::uint32_t*>(halves);
  if constexpr (kLanes == 4) {
    for (int half = 0; half < 2; ++half, products += 4, out += 16) {
      const RandomWords low = draw_words(random.keys, stream, products);
      const RandomWords high = draw_words(random.keys, stream, products + 2);
      hn::Store(hn::ConcatEven(kWords, high.first, low.first), kWords, out);
      hn::Store(hn::ConcatOdd(kWords, high.first, low.first), kWords, out + 4);
      hn::Store(hn::ConcatEven(kWords, high.second, low.second), kWords, out + 8);
      hn::Store(hn::ConcatOdd(kWords, high.second, low.second), kWords, out + 12);
    }
  } else {
    HWY_ALIGN static constexpr std::int32_t kOrder[16] = {0, 2,  4,  6,  1, 3,  5,  7,
                                                          8, 10, 12, 14, 9, 11, 13, 15};
    const auto order = hn::SetTableIndices(kWords, kOrder);
    for (int group = 0; group < 16 / kLanes; ++group, products += 4, out += 16) {
      const RandomWords words = draw_words(random.keys, stream, products);
      const Word first = hn::TableLookupLanes(words.first, order);
      const Word second = hn::TableLookupLanes(words.second, order);
      if constexpr (kLanes == 8) {
        hn::Store(first, kWords, out);
        hn::Store(second, kWords, out + 8);
      } else {
        hn::Store(hn::ConcatLowerLower(kWords, second, first), kWords, out);
        hn::Store(hn::ConcatUpperUpper(kWords, second, first), kWords, out + 16);
      }
    }
  }
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
