// Exact dot products of 15-bit vectors, once for each instruction set. Included by foreach_target.

#if defined(SBM_KERNELS_CPU_SAMPLER_DOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SBM_KERNELS_CPU_SAMPLER_DOT_INL_H_
#undef SBM_KERNELS_CPU_SAMPLER_DOT_INL_H_
#else
#define SBM_KERNELS_CPU_SAMPLER_DOT_INL_H_
#endif

#include <cstdint>
#include <cstring>

#include "hwy/highway.h"
#include "kernels/cpu/sampler_rows.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR
constexpr int kGroupCells = 64;
#else
using Words = hn::ScalableTag<std::uint32_t>;
using Word = hn::Vec<Words>;
constexpr Words kWords;
/// As many 16-bit numbers as a vector has lanes.
using HalfShorts = hn::Rebind<std::uint16_t, Words>;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(Words()));
static_assert(kLanes == 4 || kLanes == 8 || kLanes == 16);
/// Four vectors: one for each word of a Philox block.
constexpr int kGroupCells = 4 * kLanes;
#endif
constexpr int kBlockGroups = static_cast<int>(kBlockKeys) / kGroupCells;

/// The slot of a cell of a block. Two vectors of slots hold consecutive cells, the even ones in the
/// first, the odd ones in the second, so that the upper halves of their thresholds join to a vector
/// of 16-bit numbers in the order of the cells.
inline int slot_of_cell(int cell) {
#if HWY_TARGET == HWY_SCALAR
  return cell;
#else
  return (cell / (2 * kLanes) * 2 + cell % 2) * kLanes + cell % (2 * kLanes) / 2;
#endif
}

/// Where the dot products of a group of cells begin.
inline const std::uint16_t* tile_of(const DotTiles& tiles, std::int64_t block, int group) {
  return tiles.tiles.data() + (block * kBlockGroups + group) * kGroupCells * 2 * tiles.pairs();
}

void PackTiles(const std::uint16_t* entries, std::int64_t stride, TileOrder order,
               DotTiles& tiles) {
  const std::int64_t pairs = tiles.pairs();
  for (std::int64_t block = 0; block < tiles.blocks(); ++block) {
    std::uint16_t* packed = tiles.tiles.data() + block * kBlockKeys * 2 * pairs;
    for (int cell = 0; cell < kBlockKeys; ++cell) {
      const std::int64_t index = block * kBlockKeys + cell;
      const int place = order == TileOrder::kSlots ? slot_of_cell(cell) : cell;
      std::uint16_t* to = packed + place / kGroupCells * kGroupCells * 2 * pairs +
                          static_cast<std::ptrdiff_t>(place % kGroupCells * 2);
      for (std::int64_t pair = 0; pair < pairs; ++pair, to += std::ptrdiff_t{2} * kGroupCells) {
        if (index < tiles.count) {
          std::memcpy(to, entries + index * stride + 2 * pair, 4);
        } else {
          std::memset(to, 0, 4);
        }
      }
    }
  }
}

#if HWY_TARGET == HWY_SCALAR

constexpr int kDotRows = 1;

/// The sums of one row and a group of cells.
struct RowSums {
  std::uint32_t of[kGroupCells] = {};
};

template <class Finish>
void dot_group(const std::uint16_t* tile, std::int64_t pairs, const std::uint16_t* const* rows,
               int first_row, int group, const Finish& finish) {
  const std::uint16_t* row = rows[first_row];
  RowSums sums;
  for (std::int64_t pair = 0; pair < pairs; ++pair, tile += 2 * kGroupCells) {
    const auto first = static_cast<std::int16_t>(row[2 * pair]);
    const auto second = static_cast<std::int16_t>(row[2 * pair + 1]);
    for (int cell = 0; cell < kGroupCells; ++cell) {
      // Two products of 15-bit numbers fit 32 bits.
      sums.of[cell] +=
          static_cast<std::uint32_t>(first * static_cast<std::int16_t>(tile[2 * cell]) +
                                     second * static_cast<std::int16_t>(tile[2 * cell + 1]));
    }
  }
  finish.take(first_row, group, sums);
}

#else

using Halves = hn::Repartition<std::int16_t, Words>;
using Half = hn::Vec<Halves>;
using Sums = hn::RebindToSigned<Words>;
using Sum = hn::Vec<Sums>;

/// sum + the products of the pairs of 16-bit lanes, modulo 2^32.
HWY_INLINE Sum add_products(Half a, Half b, Sum sum) {
#if HWY_TARGET == HWY_AVX3_DL
  // As an intrinsic, g++ 12 copies and spills the accumulators.
  asm("vpdpwssd %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
  return sum;
#else
  constexpr bool kPairsInOne = HWY_ARCH_X86 && HWY_TARGET != HWY_EMU128;
  Sum other = hn::Zero(Sums());
  if constexpr (kPairsInOne) {
    return hn::ReorderWidenMulAccumulate(Sums(), a, b, sum, other);
  } else {
    // Elsewhere both accumulators hold products in an order of their own.
    const Sum some = hn::ReorderWidenMulAccumulate(Sums(), a, b, hn::Zero(Sums()), other);
    return hn::Add(sum, hn::RearrangeToOddPlusEven(some, other));
  }
#endif
}

/// The sums of one row and a group of cells: four vectors in slot order.
struct RowSums {
  Sum first;
  Sum second;
  Sum third;
  Sum fourth;

  // An implicit constructor would lack the target's attributes.
  HWY_INLINE explicit RowSums(Sum start)
      : first(start), second(start), third(start), fourth(start) {}
  HWY_INLINE void add(const std::uint16_t* pair, Half a, Half b, Half c, Half d) {
    std::int32_t both;
    std::memcpy(&both, pair, sizeof(both));
    const Half weights = hn::BitCast(Halves(), hn::Set(Sums(), both));
    first = add_products(weights, a, first);
    second = add_products(weights, b, second);
    third = add_products(weights, c, third);
    fourth = add_products(weights, d, fourth);
  }
  HWY_INLINE void store(std::uint32_t* to) const {
    hn::Store(hn::BitCast(kWords, first), kWords, to);
    hn::Store(hn::BitCast(kWords, second), kWords, to + kLanes);
    hn::Store(hn::BitCast(kWords, third), kWords, to + std::ptrdiff_t{2} * kLanes);
    hn::Store(hn::BitCast(kWords, fourth), kWords, to + std::ptrdiff_t{3} * kLanes);
  }
  static HWY_INLINE RowSums load(const std::uint32_t* from) {
    RowSums sums(hn::BitCast(Sums(), hn::Load(kWords, from)));
    sums.second = hn::BitCast(Sums(), hn::Load(kWords, from + kLanes));
    sums.third = hn::BitCast(Sums(), hn::Load(kWords, from + std::ptrdiff_t{2} * kLanes));
    sums.fourth = hn::BitCast(Sums(), hn::Load(kWords, from + std::ptrdiff_t{3} * kLanes));
    return sums;
  }
};

/// Rows that share the loads of a tile, as many as registers hold their sums.
constexpr int kDotRows = kLanes == 16 ? 4 : 2;

/// Hands finish.take(row, group, sums) the dot products of kDotRows rows with a group of cells.
template <class Finish>
HWY_INLINE void dot_rows(const std::uint16_t* tile, std::int64_t pairs,
                         const std::uint16_t* const* rows, int first_row, int group,
                         Finish& finish) {
  const Sum zero = hn::Zero(Sums());
  RowSums row0(zero);
  RowSums row1(zero);
  RowSums row2(zero);
  RowSums row3(zero);
  rows += first_row;
  const auto* cells = reinterpret_cast<const std::int16_t*>(tile);
  for (std::int64_t pair = 0; pair < pairs; ++pair, cells += std::ptrdiff_t{2} * kGroupCells) {
    const Half a = hn::Load(Halves(), cells);
    const Half b = hn::Load(Halves(), cells + std::ptrdiff_t{2} * kLanes);
    const Half c = hn::Load(Halves(), cells + std::ptrdiff_t{4} * kLanes);
    const Half d = hn::Load(Halves(), cells + std::ptrdiff_t{6} * kLanes);
    row0.add(rows[0] + 2 * pair, a, b, c, d);
    row1.add(rows[1] + 2 * pair, a, b, c, d);
    if constexpr (kDotRows == 4) {
      row2.add(rows[2] + 2 * pair, a, b, c, d);
      row3.add(rows[3] + 2 * pair, a, b, c, d);
    }
  }
  finish.take(first_row, group, row0);
  finish.take(first_row + 1, group, row1);
  if constexpr (kDotRows == 4) {
    finish.take(first_row + 2, group, row2);
    finish.take(first_row + 3, group, row3);
  }
}

/// The sums of kDotRows rows, by way of the cache.
struct SumsInCache {
  HWY_ALIGN std::uint32_t of[kDotRows][kGroupCells];

  HWY_INLINE void take(int row, int /*group*/, const RowSums& sums) {
    sums.store(of[row % kDotRows]);
  }
};

HWY_NOINLINE void dot_rows_in_cache(const std::uint16_t* tile, std::int64_t pairs,
                                    const std::uint16_t* const* rows, int first_row,
                                    SumsInCache& sums) {
  dot_rows(tile, pairs, rows, first_row, 0, sums);
}

template <class Finish>
HWY_INLINE void dot_group(const std::uint16_t* tile, std::int64_t pairs,
                          const std::uint16_t* const* rows, int first_row, int group,
                          const Finish& finish) {
  if constexpr (kLanes == 16) {
    dot_rows(tile, pairs, rows, first_row, group, finish);
  } else {
    // What `finish` keeps in registers would push sums out of the 16 that there are.
    SumsInCache sums;
    dot_rows_in_cache(tile, pairs, rows, first_row, sums);
    for (int row = 0; row < kDotRows; ++row) {
      finish.take(first_row + row, group, RowSums::load(sums.of[row]));
    }
  }
}

#endif

/// The dot products of `count` rows with a block of cells; rows beyond are computed too, up to a
/// whole number of kDotRows. `rows` has kGroupRows pointers.
template <class Finish>
HWY_INLINE void dot_block(const DotTiles& tiles, std::int64_t block,
                          const std::uint16_t* const* rows, int count, const Finish& finish) {
  for (int group = 0; group < kBlockGroups; ++group) {
    const std::uint16_t* tile = tile_of(tiles, block, group);
    for (int row = 0; row < count; row += kDotRows) {
      dot_group(tile, tiles.pairs(), rows, row, group, finish);
    }
  }
}

/// Keeps the sums: of row r in sums[r * stride], 64 of them; there is room for kGroupRows rows.
struct KeepSums {
  std::uint32_t* sums;
  std::int64_t stride;

  HWY_INLINE void take(int row, int group, const RowSums& row_sums) const {
    std::uint32_t* to = sums + row * stride + std::ptrdiff_t{group} * kGroupCells;
#if HWY_TARGET == HWY_SCALAR
    std::memcpy(to, row_sums.of, sizeof(row_sums.of));
#else
    row_sums.store(to);
#endif
  }
};

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
