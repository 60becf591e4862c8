// The first branch of the sampler, cell by cell, once for each instruction set. Included by
// foreach_target.

#if defined(SBM_KERNELS_CPU_SAMPLER_CELLS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SBM_KERNELS_CPU_SAMPLER_CELLS_INL_H_
#undef SBM_KERNELS_CPU_SAMPLER_CELLS_INL_H_
#else
#define SBM_KERNELS_CPU_SAMPLER_CELLS_INL_H_
#endif

#include <cstdint>

#include "kernels/cpu/sampler_exact-inl.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

/// For the cells of a block, in their order, a lower bound of the upper half of
/// min(P + exploration, 2^32 - 1).
struct UpperHalves {
  HWY_ALIGN std::uint16_t of[kGroupRows][kBlockKeys];
};

/// Compares the cells of a row with their random numbers: their upper halves lie in
/// [least, least + width]. POISSON's thresholds are below those: 1 - exp(-x) <= x.
template <MaskLaw kLaw>
HWY_INLINE CellBits compare_halves(const std::uint16_t* least, std::uint16_t width,
                                   bool may_saturate, const std::uint16_t* random) {
  CellBits bits;
#if HWY_TARGET == HWY_SCALAR
  for (int cell = 0; cell < kBlockKeys; ++cell) {
    const std::uint64_t bit = std::uint64_t{1} << cell;
    const std::uint32_t most = std::uint32_t{least[cell]} + width;
    const bool is_edge = kLaw == MaskLaw::kBernoulli && random[cell] < least[cell];
    if (is_edge) bits.edges |= bit;
    if (!is_edge && random[cell] <= most) bits.candidates |= bit;
    if (may_saturate && most >= 0xFFFF) bits.candidates |= bit;
  }
#else
  constexpr std::uint64_t kAll = (std::uint64_t{1} << (2 * kLanes)) - 1;
  const ShortWord widths = hn::Set(kShortWords, width);
  for (int cell = 0; cell < kBlockKeys; cell += 2 * kLanes) {
    const ShortWord lower = hn::Load(kShortWords, least + cell);
    const ShortWord upper = hn::SaturatedAdd(lower, widths);
    const ShortWord number = hn::Load(kShortWords, random + cell);
    std::uint64_t candidates = bits_of(kShortWords, hn::Lt(upper, number)) ^ kAll;
    if constexpr (kLaw == MaskLaw::kBernoulli) {
      const std::uint64_t edges = bits_of(kShortWords, hn::Lt(number, lower));
      candidates ^= edges;
      bits.edges |= edges << cell;
    }
    if (may_saturate) {
      candidates |= bits_of(kShortWords, hn::Eq(upper, hn::Set(kShortWords, 0xFFFF)));
    }
    bits.candidates |= candidates << cell;
  }
#endif
  return bits;
}

/// Draws the rows of a call in a block whose thresholds are bounded.
HWY_INLINE void draw_block(const CellsCall& call, const RandomRows& random, std::int64_t block,
                           const UpperHalves& least, const std::uint16_t* widths, BlockWork& work) {
  for (int row = 0; row < call.rows; ++row) {
    std::uint16_t* halves = work.halves[row];
    draw_halves(call, random, row, block, halves);
    const CellBits bits = call.law == MaskLaw::kPoisson
                              ? compare_halves<MaskLaw::kPoisson>(least.of[row], widths[row],
                                                                  call.may_saturate[row], halves)
                              : compare_halves<MaskLaw::kBernoulli>(least.of[row], widths[row],
                                                                    call.may_saturate[row], halves);
    note_cells(call, block, row, bits, work);
  }
  finish_block(call, block, work);
}

/// Makes exact upper halves of the sums of a row and a group of cells.
template <bool kLeftShifts>
struct KeepUpperHalves {
  const CellsCall& call;
  const std::int32_t* exponents;  ///< of the block, in slot order
  UpperHalves& to;

  HWY_INLINE void take(int row, int group, const RowSums& sums) const {
    const std::int32_t* slots = exponents + group * kGroupCells;
    std::uint16_t* halves = to.of[row] + group * kGroupCells;
#if HWY_TARGET == HWY_SCALAR
    for (int cell = 0; cell < kGroupCells; ++cell) {
      const std::uint32_t probability =
          probability_units(sums.of[cell], call.exponents[row] + slots[cell]);
      halves[cell] = static_cast<std::uint16_t>(
          edge_threshold(MaskLaw::kBernoulli, probability, call.exploration) >> 16);
    }
#else
    keep_pair(row, slots, sums.first, sums.second, halves);
    keep_pair(row, slots + std::ptrdiff_t{2} * kLanes, sums.third, sums.fourth,
              halves + std::ptrdiff_t{2} * kLanes);
  }

 private:
  HWY_INLINE Word thresholds(int row, const std::int32_t* slots, Sum sums) const {
    const Sum shift = hn::Add(hn::Set(Sums(), call.exponents[row]), hn::Load(Sums(), slots));
    const Word probability = probabilities<kLeftShifts>(hn::BitCast(kWords, sums), shift);
    return thresholds_of<MaskLaw::kBernoulli>(probability, call.exploration).thresholds;
  }
  HWY_INLINE void keep_pair(int row, const std::int32_t* slots, Sum even, Sum odd,
                            std::uint16_t* halves) const {
    const Word low = hn::ShiftRight<16>(thresholds(row, slots, even));
    const Word high = thresholds(row, slots + kLanes, odd);
    hn::Store(hn::OddEven(hn::BitCast(kShortWords, high), hn::BitCast(kShortWords, low)),
              kShortWords, halves);
#endif
  }
};

void SampleEveryCell(const CellsCall& call) {
  const RandomRows random(call);
  const std::uint16_t widths[kGroupRows] = {};
  BlockWork work;
  UpperHalves halves;
  bool left_shifts = false;
  for (int row = 0; row < call.rows; ++row) {
    left_shifts = left_shifts || call.exponents[row] + call.least_key_exponent < 0;
  }
  for (std::int64_t block = 0; block < call.blocks; ++block) {
    const std::int32_t* exponents = call.slot_exponents + block * kBlockKeys;
    if (left_shifts) {
      dot_block(*call.tiles, block, call.weights, call.rows,
                KeepUpperHalves<true>{call, exponents, halves});
    } else {
      dot_block(*call.tiles, block, call.weights, call.rows,
                KeepUpperHalves<false>{call, exponents, halves});
    }
    draw_block(call, random, block, halves, widths, work);
  }
}

void ListCellSlots(std::int32_t* slots) {
  for (int cell = 0; cell < kBlockKeys; ++cell) slots[cell] = slot_of_cell(cell);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
