// The first branch of the sampler, cell by cell, once for each instruction set. Included by
// foreach_target.

#if defined(SBM_KERNELS_CPU_SAMPLER_CELLS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SBM_KERNELS_CPU_SAMPLER_CELLS_INL_H_
#undef SBM_KERNELS_CPU_SAMPLER_CELLS_INL_H_
#else
#define SBM_KERNELS_CPU_SAMPLER_CELLS_INL_H_
#endif

#include <cstdint>
#include <cstring>

#include "kernels/cpu/sampler_dot-inl.h"
#include "kernels/cpu/sampler_stream.h"
#include "kernels/sampler_counters.h"
#include "kernels/sampler_threshold.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

/// 64 cells of one row: which are edges, which would be if the low random bits were 0, and which
/// are saturated.
struct CellBits {
  std::uint64_t edges = 0;
  std::uint64_t ties = 0;
  std::uint64_t saturated = 0;
};

#if HWY_TARGET == HWY_SCALAR

/// Replaces the accumulators of a block by thresholds and compares them with the random numbers.
inline CellBits draw_block(const EveryCellCall& call, const RoundKeys& /*keys*/, int row,
                           std::int64_t block, std::uint32_t* cells) {
  CellBits bits;
  const std::int32_t* exponents = call.key_exponents + block * kBlockKeys;
  PhiloxBlock random[8];
  for (std::uint32_t lane = 0; lane < 8; ++lane) {
    random[lane] = philox4x32<kSamplerPhiloxRounds>(
        {call.row_numbers[row], static_cast<std::uint32_t>(block) * 8 + lane, 0, kHighBitsTag},
        call.stream);
  }
  for (int cell = 0; cell < kBlockKeys; ++cell) {
    const std::uint32_t probability =
        probability_units(cells[cell], call.exponents[row] + exponents[cell]);
    const std::uint32_t threshold = edge_threshold(call.law, probability, call.exploration);
    const PhiloxBlock& words = random[4 * (cell >> 5) + ((cell >> 1) & 3)];
    const std::uint32_t high =
        words[static_cast<std::size_t>((cell >> 3) & 3)] >> (16 * (cell & 1)) & 0xFFFF;
    const std::uint64_t bit = std::uint64_t{1} << cell;
    if (high < threshold >> 16) bits.edges |= bit;
    if (high == threshold >> 16) bits.ties |= bit;
    if (is_saturated(probability, call.exploration)) bits.saturated |= bit;
    cells[cell] = threshold;
  }
  return bits;
}

#else

using Doubles = hn::RepartitionToWide<Words>;
using Double = hn::Vec<Doubles>;
constexpr Doubles kDoubles;

/// The low 32 bits of every 64-bit lane, multiplied.
HWY_INLINE Double multiply_low(Double a, Double b) {
  return hn::MulEven(hn::BitCast(kWords, a), hn::BitCast(kWords, b));
}

/// The four words of the calls of a group, each in the low half of a 64-bit lane; what the high
/// halves hold is of no use.
struct RandomWords {
  Double word0;
  Double word1;
  Double word2;
  Double word3;
};

HWY_INLINE RandomWords draw_words(const RoundKeys& keys, const RowStream& row,
                                  const std::uint64_t* call_products) {
  const Double multiplier0 = hn::Set(kDoubles, kPhiloxMultiplier0);
  const Double multiplier1 = hn::Set(kDoubles, kPhiloxMultiplier1);
  const Double call = hn::Load(kDoubles, call_products);
  const Double third = multiply_low(
      multiplier1, hn::Xor(hn::ShiftRight<32>(call), hn::Set(kDoubles, std::uint64_t{row.word2})));
  RandomWords words;
  words.word0 =
      hn::Xor(hn::ShiftRight<32>(third), hn::Set(kDoubles, std::uint64_t{row.word0_after}));
  words.word1 = third;
  words.word2 = hn::Xor(call, hn::Set(kDoubles, std::uint64_t{row.word2_after}));
  words.word3 = hn::Set(kDoubles, std::uint64_t{row.word3_after});
  for (int round = 3; round < kSamplerPhiloxRounds; ++round) {
    const Double product0 = multiply_low(multiplier0, words.word0);
    const Double product1 = multiply_low(multiplier1, words.word2);
    words.word0 = hn::Xor3(hn::ShiftRight<32>(product1), words.word1,
                           hn::Set(kDoubles, std::uint64_t{keys.low[round]}));
    words.word1 = product1;
    words.word2 = hn::Xor3(hn::ShiftRight<32>(product0), words.word3,
                           hn::Set(kDoubles, std::uint64_t{keys.high[round]}));
    words.word3 = product0;
  }
  return words;
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

/// The numbers of one row that all its cells share.
struct RowConstants {
  Sum exponent;
  Word exploration;
  Word room;  ///< 2^32 - 1 - exploration

  explicit RowConstants(const EveryCellCall& call, int row)
      : exponent(hn::Set(Sums(), call.exponents[row])),
        exploration(hn::Set(kWords, call.exploration)),
        room(hn::Set(kWords, kLargestThreshold - call.exploration)) {}
};

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

template <class Mask>
HWY_INLINE std::uint64_t bits_of(Mask mask) {
  std::uint8_t bytes[8] = {};
  hn::StoreMaskBits(kWords, mask, bytes);
  std::uint64_t bits;
  std::memcpy(&bits, bytes, sizeof(bits));
  return bits;
}

/// Puts the bits of a vector of slots where its cells stand.
template <int kGroup, int kWord>
HWY_INLINE std::uint64_t place_bits(std::uint64_t bits) {
  if constexpr (kLanes == 16) {
    return (bits & 0xFF) << (8 * kWord) | bits >> 8 << (32 + 8 * kWord);
  } else if constexpr (kLanes == 8) {
    return bits << (32 * kGroup + 8 * kWord);
  } else {
    return bits << (32 * (kGroup / 2) + 8 * kWord + 4 * (kGroup % 2));
  }
}

template <MaskLaw kLaw, bool kLeftShifts, int kGroup, int kWord>
HWY_INLINE void draw_vector(const RowConstants& row, const std::int32_t* exponents, Double random,
                            std::uint32_t* cells, CellBits& bits) {
  constexpr int kSlot = (kGroup * 4 + kWord) * kLanes;
  const Sum shift = hn::Add(row.exponent, hn::Load(Sums(), exponents + kSlot));
  const Word probability = probabilities<kLeftShifts>(hn::Load(kWords, cells + kSlot), shift);
  const Word capped = hn::Min(probability, row.room);
  const auto saturated = hn::Eq(capped, row.room);
  Word threshold;
  if constexpr (kLaw == MaskLaw::kBernoulli) {
    threshold = hn::Add(capped, row.exploration);
  } else {
    threshold = poisson_thresholds(probability, row.exploration);
  }
  hn::Store(threshold, kWords, cells + kSlot);

  // Even slots take the low half of the word, odd ones the high half, as the upper 16 of 32 bits.
  const Word halves = hn::OddEven(hn::BitCast(kWords, hn::ShiftLeft<32>(random)),
                                  hn::BitCast(kWords, hn::ShiftLeft<16>(random)));
  const Word most = hn::Or(halves, hn::Set(kWords, 0xFFFF));
  const Word least = hn::Xor(most, hn::Set(kWords, 0xFFFF));
  const auto surely = hn::Lt(most, threshold);
  const auto maybe = hn::Lt(least, threshold);
  const std::uint64_t edges = place_bits<kGroup, kWord>(bits_of(surely));
  bits.edges |= edges;
  bits.ties |= edges ^ place_bits<kGroup, kWord>(bits_of(maybe));
  bits.saturated |= place_bits<kGroup, kWord>(bits_of(saturated));
}

template <MaskLaw kLaw, bool kLeftShifts, int kGroup>
HWY_INLINE void draw_group(const EveryCellCall& call, const RoundKeys& keys,
                           const RowConstants& row, const RowStream& stream, std::int64_t block,
                           std::uint32_t* cells, CellBits& bits) {
  const std::int32_t* exponents = call.key_exponents + block * kBlockKeys;
  const RandomWords random =
      draw_words(keys, stream, call.call_products + block * 8 + kGroup * (kLanes / 2));
  draw_vector<kLaw, kLeftShifts, kGroup, 0>(row, exponents, random.word0, cells, bits);
  draw_vector<kLaw, kLeftShifts, kGroup, 1>(row, exponents, random.word1, cells, bits);
  draw_vector<kLaw, kLeftShifts, kGroup, 2>(row, exponents, random.word2, cells, bits);
  draw_vector<kLaw, kLeftShifts, kGroup, 3>(row, exponents, random.word3, cells, bits);
}

template <MaskLaw kLaw, bool kLeftShifts>
HWY_INLINE CellBits draw_cells(const EveryCellCall& call, const RoundKeys& keys, int row,
                               std::int64_t block, std::uint32_t* cells) {
  const RowConstants constants(call, row);
  const RowStream stream(keys, call.row_numbers[row]);
  CellBits bits;
  draw_group<kLaw, kLeftShifts, 0>(call, keys, constants, stream, block, cells, bits);
  if constexpr (kBlockGroups > 1) {
    draw_group<kLaw, kLeftShifts, 1>(call, keys, constants, stream, block, cells, bits);
  }
  if constexpr (kBlockGroups > 2) {
    draw_group<kLaw, kLeftShifts, 2>(call, keys, constants, stream, block, cells, bits);
    draw_group<kLaw, kLeftShifts, 3>(call, keys, constants, stream, block, cells, bits);
  }
  return bits;
}

/// Replaces the accumulators of a block by thresholds and compares them with the random numbers.
HWY_INLINE CellBits draw_block(const EveryCellCall& call, const RoundKeys& keys, int row,
                               std::int64_t block, std::uint32_t* cells) {
  const bool left_shifts = call.exponents[row] + call.least_key_exponent < 0;
  if (call.law == MaskLaw::kPoisson) {
    return draw_cells<MaskLaw::kPoisson, true>(call, keys, row, block, cells);
  }
  return left_shifts ? draw_cells<MaskLaw::kBernoulli, true>(call, keys, row, block, cells)
                     : draw_cells<MaskLaw::kBernoulli, false>(call, keys, row, block, cells);
}

#endif

void SampleEveryCell(const EveryCellCall& call) {
  const RoundKeys keys(call.stream);
  HWY_ALIGN std::uint32_t cells[kGroupRows][kBlockKeys];
  for (std::int64_t block = 0; block < call.keys->blocks(); ++block) {
    dot_block(*call.keys, block, call.weights, call.rows, cells[0], kBlockKeys);
    for (int row = 0; row < call.rows; ++row) {
      CellBits bits = draw_block(call, keys, row, block, cells[row]);
      const std::uint64_t valid = call.valid_bits[block];
      for (std::uint64_t ties = bits.ties & valid; ties != 0; ties &= ties - 1) {
        const int cell = __builtin_ctzll(ties);
        const auto key = static_cast<std::uint32_t>(block * kBlockKeys + cell);
        const std::uint32_t low = cells[row][slot_of_cell(cell)] & 0xFFFF;
        if (low_bits(call.stream, call.row_numbers[row], key) < low) {
          bits.edges |= std::uint64_t{1} << cell;
        }
      }
      call.edges[row][block] = bits.edges & valid;
      call.saturated[row][block] = bits.edges & valid & bits.saturated;
      if (call.thresholds[row] != nullptr) {
        std::memcpy(call.thresholds[row] + block * kBlockKeys, cells[row], sizeof(cells[row]));
      }
    }
  }
}

void ListCellSlots(std::int32_t* slots) {
  for (int cell = 0; cell < kBlockKeys; ++cell) slots[cell] = slot_of_cell(cell);
}

#if HWY_TARGET == HWY_SCALAR

std::int64_t ListColumns(const std::uint64_t* words, std::int64_t blocks, std::int32_t* columns) {
  std::int64_t count = 0;
  for (std::int64_t block = 0; block < blocks; ++block) {
    for (std::uint64_t word = words[block]; word != 0; word &= word - 1) {
      columns[count++] = static_cast<std::int32_t>(block * kBlockKeys) + __builtin_ctzll(word);
    }
  }
  return count;
}

#else

std::int64_t ListColumns(const std::uint64_t* words, std::int64_t blocks, std::int32_t* columns) {
  // Highway's own compression copies its table to the stack at every call below AVX-512.
  constexpr int kStep = kLanes == 16 ? 16 : 8;
  constexpr std::uint64_t kStepBits = (std::uint64_t{1} << kStep) - 1;
  std::int64_t count = 0;
  for (std::int64_t block = 0; block < blocks; ++block) {
    std::uint64_t word = words[block];
    auto first = static_cast<std::int32_t>(block * kBlockKeys);
    for (; word != 0; word >>= kStep, first += kStep) {
      const std::uint64_t bits = word & kStepBits;
      if constexpr (kLanes == 16) {
        std::uint8_t bytes[8];
        std::memcpy(bytes, &bits, sizeof(bytes));
        const Sum keys = hn::Iota(Sums(), 0);
        hn::StoreU(
            hn::Add(hn::Compress(keys, hn::LoadMaskBits(Sums(), bytes)), hn::Set(Sums(), first)),
            Sums(), columns + count);
      } else {
        const hn::Rebind<std::uint8_t, Sums> bytes;
        const std::uint8_t* positions = kBitPositions.of[bits];
        for (int lane = 0; lane < kStep; lane += kLanes) {
          hn::StoreU(hn::Add(hn::PromoteTo(Sums(), hn::LoadU(bytes, positions + lane)),
                             hn::Set(Sums(), first)),
                     Sums(), columns + count + lane);
        }
      }
      count += __builtin_popcountll(bits);
    }
  }
  return count;
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
