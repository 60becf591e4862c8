// The first branch of the sampler with 8-bit dot products, once for each instruction set: they
// bound every threshold from both sides, which decides all but a few cells in a thousand. Included
// by foreach_target.

#if defined(SBM_KERNELS_CPU_SAMPLER_COARSE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SBM_KERNELS_CPU_SAMPLER_COARSE_INL_H_
#undef SBM_KERNELS_CPU_SAMPLER_COARSE_INL_H_
#else
#define SBM_KERNELS_CPU_SAMPLER_COARSE_INL_H_
#endif

#include <cstdint>
#include <cstring>

#include "kernels/cpu/sampler_cells-inl.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_AVX3_DL

constexpr bool kHasCoarseForm = true;
/// Keys keep the upper 8 of their 15 bits, weights 7: rounding keys down costs more than rounding
/// weights to nearest.
constexpr int kKeyShift = 7;
constexpr std::uint32_t kLargestKeyByte = 255;
constexpr std::uint16_t kLargestWeightByte = 127;

/// Where a cell lies in a block: packing two vectors of 32-bit numbers, which works in quarters,
/// leaves the cells in their order.
inline int coarse_slot(int cell) {
  return cell / 32 * 32 + (cell >> 2 & 1) * kLanes + (cell % 32 / 8) * 4 + cell % 4;
}

void PackCoarse(const std::uint16_t* entries, const std::uint8_t* exponents, std::int64_t keys,
                std::int64_t clusters, CoarseTiles& tiles) {
  const std::int64_t stride = entry_stride(clusters);
  const std::int64_t fours = (clusters + 3) / 4;
  const std::int64_t blocks = (keys + kBlockKeys - 1) / kBlockKeys;
  for (std::int64_t block = 0; block < blocks; ++block) {
    for (int cell = 0; cell < kBlockKeys; ++cell) {
      const std::int64_t key = block * kBlockKeys + cell;
      const int slot = coarse_slot(cell);
      std::uint8_t* to = tiles.tiles.data() + block * kBlockKeys * 4 * fours + 4L * slot;
      for (std::int64_t four = 0; four < fours; ++four, to += 4 * kBlockKeys) {
        for (int c = 0; c < 4; ++c) {
          // Entries are filled up with zeros, at least to a whole 4.
          to[c] = key < keys
                      ? static_cast<std::uint8_t>(entries[key * stride + 4 * four + c] >> kKeyShift)
                      : std::uint8_t{0};
        }
      }
      tiles.exponents.data()[block * kBlockKeys + slot] =
          key < keys ? exponents[key] : kLargestMembershipExponent;
    }
  }
}

/// W of one row in 7 bits, and the constants of its bounds: in units of 2^unit_bits,
///   sum of the products - below <= acc <= sum of the products + above.
struct CoarseRow {
  const std::uint8_t* weights = nullptr;
  int unit_bits = 0;
  std::int32_t below = 0;
  std::int32_t above = 0;
};

/// value / 2^bits, rounded up.
constexpr std::int32_t divide_up(std::uint32_t value, int bits) {
  return static_cast<std::int32_t>((value + ((1U << bits) - 1)) >> bits);
}

/// With W = 2^s w + e and K = 2^7 k + r, where w rounds to nearest and k rounds down:
///   acc = 2^(s + 7) sum w k + 2^7 sum e k + sum W r,  0 <= k <= 255,  0 <= r <= 127.
HWY_INLINE CoarseRow coarsen_row(const std::uint16_t* weights, std::int64_t clusters,
                                 std::uint8_t* bytes) {
  const int unit_bits = coarse_unit_bits(weights, clusters);
  const int shift = unit_bits - kKeyShift;
  const ShortWord half = hn::Set(kShortWords, static_cast<std::uint16_t>((1U << shift) >> 1));
  const ShortWord largest = hn::Set(kShortWords, kLargestWeightByte);
  const Half one = hn::Set(Halves(), 1);
  Sum sums = hn::Zero(Sums());
  Sum rounded_down = sums;
  Sum rounded_up = sums;
  for (std::int64_t c = 0; c < clusters; c += 2 * kLanes) {
    const ShortWord weight = hn::Load(kShortWords, weights + c);
    const ShortWord nearest = hn::ShiftRightSame(hn::Add(weight, half), shift);
    const ShortWord byte = hn::Min(nearest, largest);
    const ShortWord kept = hn::ShiftLeftSame(byte, shift);
    _mm256_store_si256(reinterpret_cast<__m256i*>(bytes + c), _mm512_cvtepi16_epi8(byte.raw));
    sums = add_products(hn::BitCast(Halves(), weight), one, sums);
    rounded_down =
        add_products(hn::BitCast(Halves(), hn::SaturatedSub(weight, kept)), one, rounded_down);
    rounded_up =
        add_products(hn::BitCast(Halves(), hn::SaturatedSub(kept, weight)), one, rounded_up);
  }
  const auto total = [](Sum parts) HWY_ATTR {
    return static_cast<std::uint32_t>(hn::GetLane(hn::SumOfLanes(Sums(), parts)));
  };
  const std::uint32_t below = kLargestKeyByte * total(rounded_up);
  const std::uint32_t above =
      (kLargestKeyByte << kKeyShift) * total(rounded_down) + ((1U << kKeyShift) - 1) * total(sums);
  return {bytes, unit_bits, divide_up(below, shift), divide_up(above, unit_bits)};
}

/// A right shift by R + 16 - unit_bits plus a key's exponent makes upper halves of sums.
inline std::int32_t shift_of(const CellsCall& call, int row, const CoarseRow& coarse) {
  return call.exponents[row] + 16 - coarse.unit_bits;
}

/// From the lower bound of an upper half to the upper one, for the keys of the largest P.
inline std::uint16_t width_of(const CellsCall& call, int row, const CoarseRow& coarse) {
  const int shift = shift_of(call, row, coarse) + call.least_key_exponent;
  const auto difference = static_cast<std::uint64_t>(coarse.below + coarse.above);
  const std::uint64_t width = ((difference + (std::uint64_t{1} << shift) - 1) >> shift) +
                              ((call.exploration & 0xFFFF) != 0 ? 1 : 0);
  return static_cast<std::uint16_t>(width < 0xFFFF ? width : 0xFFFF);
}

/// Makes lower bounds of upper halves of the sums of a row and a block.
struct KeepLowerBounds {
  const std::int32_t* row_shifts;
  const std::int32_t* exponents;  ///< of the block, in coarse order
  ShortWord exploration;
  UpperHalves& to;

  HWY_INLINE void take(int row, const RowSums& sums) const {
    const Sum shift = hn::Set(Sums(), row_shifts[row]);
    keep_pair(shift, exponents, sums.first, sums.second, to.of[row]);
    keep_pair(shift, exponents + 2 * kLanes, sums.third, sums.fourth, to.of[row] + 2 * kLanes);
  }

 private:
  HWY_INLINE void keep_pair(Sum shift, const std::int32_t* slots, Sum first, Sum second,
                            std::uint16_t* halves) const {
    // Shifts beyond 31 leave the sign; packing makes a negative bound 0, and one from 2^16 on,
    // where P saturates, 2^16 - 1.
    const Sum first_shift = hn::Add(shift, hn::Load(Sums(), slots));
    const Sum second_shift = hn::Add(shift, hn::Load(Sums(), slots + kLanes));
    const ShortWord packed{_mm512_packus_epi32(_mm512_srav_epi32(first.raw, first_shift.raw),
                                               _mm512_srav_epi32(second.raw, second_shift.raw))};
    hn::Store(hn::SaturatedAdd(packed, exploration), kShortWords, halves);
  }
};

/// sum + the products of the fours of 8-bit lanes.
HWY_INLINE Sum add_byte_products(Sum weights, Sum keys, Sum sum) {
  // As an intrinsic, g++ 12 copies and spills the accumulators.
  asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(keys.raw), "v"(weights.raw));
  return sum;
}

HWY_INLINE void add_bytes(const std::uint8_t* four, Sum a, Sum b, Sum c, Sum d, RowSums& sums) {
  std::int32_t all;
  std::memcpy(&all, four, sizeof(all));
  const Sum weights = hn::Set(Sums(), all);
  sums.first = add_byte_products(weights, a, sums.first);
  sums.second = add_byte_products(weights, b, sums.second);
  sums.third = add_byte_products(weights, c, sums.third);
  sums.fourth = add_byte_products(weights, d, sums.fourth);
}

/// Hands `finish` the sums of kDotRows rows with a block of cells, less what is below them.
HWY_INLINE void coarse_dots(const std::uint8_t* tile, std::int64_t fours, const CoarseRow* rows,
                            int first_row, const KeepLowerBounds& finish) {
  rows += first_row;
  RowSums row0(hn::Set(Sums(), -rows[0].below));
  RowSums row1(hn::Set(Sums(), -rows[1].below));
  RowSums row2(hn::Set(Sums(), -rows[2].below));
  RowSums row3(hn::Set(Sums(), -rows[3].below));
  const auto* cells = reinterpret_cast<const std::int32_t*>(tile);
  for (std::int64_t four = 0; four < fours; ++four, cells += kBlockKeys) {
    const Sum a = hn::Load(Sums(), cells);
    const Sum b = hn::Load(Sums(), cells + kLanes);
    const Sum c = hn::Load(Sums(), cells + std::ptrdiff_t{2} * kLanes);
    const Sum d = hn::Load(Sums(), cells + std::ptrdiff_t{3} * kLanes);
    add_bytes(rows[0].weights + 4 * four, a, b, c, d, row0);
    add_bytes(rows[1].weights + 4 * four, a, b, c, d, row1);
    add_bytes(rows[2].weights + 4 * four, a, b, c, d, row2);
    add_bytes(rows[3].weights + 4 * four, a, b, c, d, row3);
  }
  finish.take(first_row, row0);
  finish.take(first_row + 1, row1);
  finish.take(first_row + 2, row2);
  finish.take(first_row + 3, row3);
}

void SampleCoarsely(const CellsCall& call) {
  const RandomRows random(call);
  BlockWork work;
  UpperHalves halves;
  HWY_ALIGN std::uint8_t bytes[kGroupRows][kWeightStride];
  CoarseRow rows[kGroupRows];
  std::int32_t shifts[kGroupRows] = {};
  std::uint16_t widths[kGroupRows] = {};
  for (int row = 0; row < kGroupRows; ++row) {
    if (row >= call.rows) {
      rows[row] = rows[0];
      continue;
    }
    rows[row] = coarsen_row(call.weights[row], call.clusters, bytes[row]);
    shifts[row] = shift_of(call, row, rows[row]);
    widths[row] = width_of(call, row, rows[row]);
  }
  const ShortWord exploration =
      hn::Set(kShortWords, static_cast<std::uint16_t>(call.exploration >> 16));
  const std::int64_t fours = (call.clusters + 3) / 4;
  for (std::int64_t block = 0; block < call.blocks; ++block) {
    const std::uint8_t* tile = call.coarse->tiles.data() + block * kBlockKeys * 4 * fours;
    const KeepLowerBounds finish = {shifts, call.coarse->exponents.data() + block * kBlockKeys,
                                    exploration, halves};
    for (int row = 0; row < call.rows; row += kDotRows) {
      coarse_dots(tile, fours, rows, row, finish);
    }
    draw_block(call, random, block, halves, widths, work);
  }
}

#else

constexpr bool kHasCoarseForm = false;

// Without 8-bit dot products into 32 bits the form has nothing to offer: form_costs() says so.
void PackCoarse(const std::uint16_t* /*entries*/, const std::uint8_t* /*exponents*/,
                std::int64_t /*keys*/, std::int64_t /*clusters*/, CoarseTiles& /*tiles*/) {}
void SampleCoarsely(const CellsCall& /*call*/) {}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
