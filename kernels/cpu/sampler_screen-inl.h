// The first branch of the sampler for sparse rows, once for each instruction set: random numbers
// are compared with a bound of the row and the block, and only what is below gets a threshold of
// its own. Included by foreach_target.

#if defined(SBM_KERNELS_CPU_SAMPLER_SCREEN_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SBM_KERNELS_CPU_SAMPLER_SCREEN_INL_H_
#undef SBM_KERNELS_CPU_SAMPLER_SCREEN_INL_H_
#else
#define SBM_KERNELS_CPU_SAMPLER_SCREEN_INL_H_
#endif

#include <cstdint>
#include <cstring>

#include "kernels/cpu/sampler_exact-inl.h"
#include "kernels/sampler_quantize.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

/// An upper bound of P + exploration, in units of 2^-32, where no cell has a larger accumulator at
/// a larger shift. A left shift beyond what thresholds use bounds by 1: a cell whose own shift is
/// smaller may have lost less.
inline std::uint32_t bound_units(std::uint32_t accumulator, std::int32_t shift,
                                 std::uint32_t exploration) {
  std::uint32_t probability = probability_units(accumulator, shift);
  if (shift < -31 && accumulator != 0) probability = kLargestThreshold;
  const std::uint32_t room = kLargestThreshold - exploration;
  return (probability < room ? probability : room) + exploration;
}

/// Takes the largest entries of the valid keys of each block, at the least of their exponents.
void BoundKeys(const std::uint16_t* entries, const std::uint8_t* exponents,
               const std::uint64_t* valid_bits, std::int64_t keys, std::int64_t clusters,
               KeyBounds& bounds) {
  const std::int64_t stride = entry_stride(clusters);
  const std::int64_t blocks = (keys + kBlockKeys - 1) / kBlockKeys;
  HWY_ALIGN std::uint16_t largest[kWeightStride];
  for (std::int64_t block = 0; block < blocks; ++block) {
    std::int32_t least = kLargestMembershipExponent;
    for (std::uint64_t cells = valid_bits[block]; cells != 0; cells &= cells - 1) {
      const std::int32_t exponent = exponents[block * kBlockKeys + __builtin_ctzll(cells)];
      least = exponent < least ? exponent : least;
    }
    std::memset(largest, 0, sizeof(largest));
    for (std::uint64_t cells = valid_bits[block]; cells != 0; cells &= cells - 1) {
      const std::int64_t key = block * kBlockKeys + __builtin_ctzll(cells);
      const std::uint16_t* entry = entries + key * stride;
      // Entries have 15 bits: a longer shift changes nothing any more.
      const int shift = exponents[key] - least < 15 ? exponents[key] - least : 15;
      const auto up = static_cast<std::uint16_t>((1U << shift) - 1);
      for (std::int64_t c = 0; c < stride; ++c) {
        const auto value =
            static_cast<std::uint16_t>(static_cast<std::uint16_t>(entry[c] + up) >> shift);
        largest[c] = value > largest[c] ? value : largest[c];
      }
    }
    bounds.exponents.data()[block] = least;
    std::memcpy(bounds.entries.data() + block * stride, largest,
                static_cast<std::size_t>(stride) * sizeof(largest[0]));
  }
  PackTiles(bounds.entries.data(), stride, TileOrder::kNatural, bounds.largest);
}

/// Of a bound, where only the sum over a row counts, so that sums fit 32 bits.
constexpr int kLostBits = 18;

void BoundRows(const CellsCall& call, const KeyBounds& bounds, std::int64_t stride,
               std::uint32_t* accumulators, std::int32_t* limits, float* candidates) {
  for (std::int64_t block = 0; block < bounds.largest.blocks(); ++block) {
    dot_block(bounds.largest, block, call.weights, call.rows,
              KeepSums{accumulators + block * kBlockKeys, stride});
  }
  const std::int32_t* exponents = bounds.exponents.data();
  for (int row = 0; row < call.rows; ++row) {
    const std::uint32_t* sums = accumulators + row * stride;
    std::int32_t* out = limits + row * stride;
    std::uint64_t total = 0;
    std::int64_t block = 0;
#if HWY_TARGET != HWY_SCALAR
    const Sum exponent = hn::Set(Sums(), call.exponents[row]);
    const Word room = hn::Set(kWords, kLargestThreshold - call.exploration);
    const Word largest = hn::Set(kWords, kLargestThreshold);
    Word sum = hn::Zero(kWords);
    for (; block + kLanes <= call.blocks; block += kLanes) {
      const Word accumulator = hn::Load(kWords, sums + block);
      const Sum shift = hn::Add(exponent, hn::Load(Sums(), exponents + block));
      const auto beyond = hn::AndNot(hn::Eq(accumulator, hn::Zero(kWords)),
                                     hn::RebindMask(kWords, hn::Lt(shift, hn::Set(Sums(), -31))));
      const Word probability =
          hn::IfThenElse(beyond, largest, probabilities<true>(accumulator, shift));
      const Word bound = hn::Add(hn::Min(probability, room), hn::Set(kWords, call.exploration));
      sum = hn::Add(sum, hn::ShiftRight<kLostBits>(bound));
      // floor((bound - 1) / 2^16), and -1 for a bound of 0.
      const Sum less_one = hn::BitCast(Sums(), hn::Sub(bound, hn::Set(kWords, 1)));
      const Word high = hn::ShiftRight<16>(hn::BitCast(kWords, less_one));
      hn::Store(hn::BitCast(Sums(), hn::IfThenElse(hn::Eq(bound, hn::Zero(kWords)), largest, high)),
                Sums(), out + block);
    }
    HWY_ALIGN std::uint32_t lanes[kLanes];
    hn::Store(sum, kWords, lanes);
    for (const std::uint32_t lane : lanes) total += lane;
#endif
    for (; block < call.blocks; ++block) {
      const std::uint32_t bound =
          bound_units(sums[block], call.exponents[row] + exponents[block], call.exploration);
      total += bound >> kLostBits;
      out[block] = bound == 0 ? -1 : static_cast<std::int32_t>((bound - 1) >> 16);
    }
    candidates[row] = static_cast<float>(total) * (64.0F * 0x1p-14F);
  }
}

/// The cells of a block whose random number does not exceed the limit.
inline std::uint64_t cells_below(const std::uint16_t* halves, std::int32_t limit) {
#if HWY_TARGET == HWY_SCALAR
  std::uint64_t bits = 0;
  for (int cell = 0; cell < kBlockKeys; ++cell) {
    bits |= static_cast<std::uint64_t>(halves[cell] <= limit) << cell;
  }
  return bits;
#else
  const ShortWord most = hn::Set(kShortWords, static_cast<std::uint16_t>(limit));
  std::uint64_t above = 0;
  for (int cell = 0; cell < kBlockKeys; cell += 2 * kLanes) {
    above |= bits_of(kShortWords, hn::Lt(most, hn::Load(kShortWords, halves + cell))) << cell;
  }
  return ~above;
#endif
}

void SampleScreened(const CellsCall& call) {
  const RandomRows random(call);
  BlockWork work;
  for (std::int64_t block = 0; block < call.blocks; ++block) {
    for (int row = 0; row < call.rows; ++row) {
      CellBits bits;
      const std::int32_t limit = call.limits[row][block];
      if (limit >= 0) {
        draw_halves(call, random, row, block, work.halves[row]);
        bits.candidates = cells_below(work.halves[row], limit);
      }
      note_cells(call, block, row, bits, work);
    }
    finish_block(call, block, work);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
