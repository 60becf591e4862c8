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
constexpr int kLanes = static_cast<int>(hn::MaxLanes(Words()));
static_assert(kLanes == 4 || kLanes == 8 || kLanes == 16);
/// Four vectors: one for each word of a Philox block.
constexpr int kGroupCells = 4 * kLanes;
#endif
constexpr int kBlockGroups = static_cast<int>(kBlockKeys) / kGroupCells;

/// The slot of a cell of a block. A vector of slots holds the cells whose random bits are one word
/// of kLanes / 2 consecutive Philox calls, low and high halves alternating, so that neither the
/// random numbers nor the accumulators are ever shuffled.
inline int slot_of_cell(int cell) {
#if HWY_TARGET == HWY_SCALAR
  return cell;
#else
  const int word = (cell >> 3) & 3;
  const int call = 4 * (cell >> 5) + ((cell >> 1) & 3);
  constexpr int kCalls = kLanes / 2;
  return (call / kCalls * 4 + word) * kLanes + 2 * (call % kCalls) + (cell & 1);
#endif
}

inline int natural_slot(int cell) { return cell; }

/// Where the dot products of a group of cells begin.
inline const std::uint16_t* tile_of(const DotTiles& tiles, std::int64_t block, int group) {
  return tiles.tiles.data() + (block * kBlockGroups + group) * kGroupCells * tiles.stride;
}

/// Packs row-major `entries` [count, stride]; slot(cell) says where a vector goes in its block.
inline void pack_tiles(const std::uint16_t* entries, int (*slot)(int), DotTiles& tiles) {
  const std::int64_t pairs = tiles.stride / 2;
  std::uint16_t* packed = tiles.tiles.data();
  for (std::int64_t block = 0; block < tiles.blocks(); ++block) {
    for (int cell = 0; cell < kBlockKeys; ++cell) {
      const std::int64_t index = block * kBlockKeys + cell;
      const int place = slot(cell);
      std::uint16_t* to =
          packed + (block * kBlockGroups + place / kGroupCells) * kGroupCells * tiles.stride +
          place % kGroupCells * 2;
      for (std::int64_t pair = 0; pair < pairs; ++pair, to += std::ptrdiff_t{2} * kGroupCells) {
        if (index < tiles.count) {
          std::memcpy(to, entries + index * tiles.stride + 2 * pair, 4);
        } else {
          std::memset(to, 0, 4);
        }
      }
    }
  }
}

#if HWY_TARGET == HWY_SCALAR

constexpr int kDotRows = 1;

inline void dot_group(const std::uint16_t* tile, std::int64_t pairs,
                      const std::uint16_t* const* rows, std::uint32_t* const* sums) {
  const std::uint16_t* row = rows[0];
  std::uint32_t sum[kGroupCells] = {};
  for (std::int64_t pair = 0; pair < pairs; ++pair, tile += 2 * kGroupCells) {
    const auto first = static_cast<std::int16_t>(row[2 * pair]);
    const auto second = static_cast<std::int16_t>(row[2 * pair + 1]);
    for (int cell = 0; cell < kGroupCells; ++cell) {
      // Two products of 15-bit numbers fit 32 bits.
      sum[cell] +=
          static_cast<std::uint32_t>(first * static_cast<std::int16_t>(tile[2 * cell]) +
                                     second * static_cast<std::int16_t>(tile[2 * cell + 1]));
    }
  }
  std::memcpy(sums[0], sum, sizeof(sum));
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
  // On x86's own targets the second accumulator stays zero; elsewhere it takes odd products.
  Sum other = hn::Zero(Sums());
  sum = hn::ReorderWidenMulAccumulate(Sums(), a, b, sum, other);
  constexpr bool kPairsInOne = HWY_ARCH_X86 && HWY_TARGET != HWY_EMU128;
  return kPairsInOne ? sum : hn::RearrangeToOddPlusEven(sum, other);
#endif
}

/// The four vectors of sums of one row.
struct RowSums {
  Sum first;
  Sum second;
  Sum third;
  Sum fourth;

  // An implicit constructor would lack the target's attributes.
  HWY_INLINE RowSums() : first(hn::Zero(Sums())), second(first), third(first), fourth(first) {}
  HWY_INLINE void add(const std::uint16_t* pair, Half a, Half b, Half c, Half d) {
    std::int32_t both;
    std::memcpy(&both, pair, sizeof(both));
    const Half weights = hn::BitCast(Halves(), hn::Set(Sums(), both));
    first = add_products(weights, a, first);
    second = add_products(weights, b, second);
    third = add_products(weights, c, third);
    fourth = add_products(weights, d, fourth);
  }
  HWY_INLINE void store(std::uint32_t* sums) const {
    hn::Store(hn::BitCast(kWords, first), kWords, sums);
    hn::Store(hn::BitCast(kWords, second), kWords, sums + kLanes);
    hn::Store(hn::BitCast(kWords, third), kWords, sums + 2 * kLanes);
    hn::Store(hn::BitCast(kWords, fourth), kWords, sums + 3 * kLanes);
  }
};

/// Rows that share the loads of a tile, as many as registers hold their sums.
constexpr int kDotRows = kLanes == 16 ? 4 : 2;

/// sums[r][0, kGroupCells) = dot products of rows[r] with the cells of a group.
HWY_INLINE void dot_group(const std::uint16_t* tile, std::int64_t pairs,
                          const std::uint16_t* const* rows, std::uint32_t* const* sums) {
  RowSums row0;
  RowSums row1;
  RowSums row2;
  RowSums row3;
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
  row0.store(sums[0]);
  row1.store(sums[1]);
  if constexpr (kDotRows == 4) {
    row2.store(sums[2]);
    row3.store(sums[3]);
  }
}

#endif

/// sums[r * sums_stride + slot] for the 64 slots of a block and `count` rows; rows beyond count are
/// computed too, up to a whole number of kDotRows, so there must be room for kGroupRows.
HWY_INLINE void dot_block(const DotTiles& tiles, std::int64_t block,
                          const std::uint16_t* const* rows, int count, std::uint32_t* sums,
                          std::int64_t sums_stride) {
  for (int group = 0; group < kBlockGroups; ++group) {
    const std::uint16_t* tile = tile_of(tiles, block, group);
    for (int row = 0; row < count; row += kDotRows) {
      std::uint32_t* out[kDotRows];
      for (int r = 0; r < kDotRows; ++r) {
        out[r] = sums + (row + r) * sums_stride + group * kGroupCells;
      }
      dot_group(tile, tiles.stride / 2, rows + row, out);
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
