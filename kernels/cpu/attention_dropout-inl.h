// Attention dropout of one row of edges, once for each instruction set. Included by foreach_target.

#if defined(SBM_KERNELS_CPU_ATTENTION_DROPOUT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SBM_KERNELS_CPU_ATTENTION_DROPOUT_INL_H_
#undef SBM_KERNELS_CPU_ATTENTION_DROPOUT_INL_H_
#else
#define SBM_KERNELS_CPU_ATTENTION_DROPOUT_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"
#include "kernels/attention_dropout.h"
#include "kernels/cpu/attention_edges-inl.h"
#include "kernels/cpu/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR

HWY_INLINE void draw_groups(std::uint32_t row, const std::uint32_t* groups, std::int64_t count,
                            PhiloxKey key, std::uint32_t* words) {
  for (std::int64_t g = 0; g < count; ++g) {
    const PhiloxBlock block = philox4x32<7>(attention_dropout_counter(row, groups[g]), key);
    for (int w = 0; w < 4; ++w) words[4 * g + w] = block[static_cast<std::size_t>(w)];
  }
}

#else

/// The Philox blocks of the given groups of a row, four words each. Reads and writes up to one
/// vector past the end. A word in the low half of its 64-bit lane needs no shuffle between rounds;
/// what the high half holds never reaches a product.
HWY_INLINE void draw_groups(std::uint32_t row, const std::uint32_t* groups, std::int64_t count,
                            PhiloxKey key, std::uint32_t* words) {
  const hn::ScalableTag<std::uint64_t> wide;
  const hn::Repartition<std::uint32_t, decltype(wide)> narrow;
  const hn::Rebind<std::uint32_t, decltype(wide)> half;
  constexpr std::int64_t kBlocks = hn::MaxLanes(hn::ScalableTag<std::uint64_t>());
  const auto multiply = [&](auto word, std::uint32_t by) HWY_ATTR {
    return hn::MulEven(hn::BitCast(narrow, word), hn::Set(narrow, by));
  };
  for (std::int64_t g = 0; g < count; g += kBlocks) {
    auto word0 = hn::Set(wide, std::uint64_t{row});
    auto word1 = hn::PromoteTo(wide, hn::LoadU(half, groups + g));
    auto word2 = hn::Zero(wide);
    auto word3 = hn::Zero(wide);
    auto key0 = static_cast<std::uint32_t>(key);
    auto key1 = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round < 7; ++round) {
      const auto product0 = multiply(word0, 0xD2511F53U);
      const auto product1 = multiply(word2, 0xCD9E8D57U);
      word0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(product1), word1), hn::Set(wide, key0));
      word1 = product1;
      word2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(product0), word3), hn::Set(wide, key1));
      word3 = product0;
      key0 += 0x9E3779B9U;
      key1 += 0xBB67AE85U;
    }
    const auto low = hn::Set(wide, std::uint64_t{0xFFFFFFFF});
    auto* out = reinterpret_cast<std::uint64_t*>(words + 4 * g);
    hn::StoreInterleaved2(hn::Or(hn::And(word0, low), hn::ShiftLeft<32>(word1)),
                          hn::Or(hn::And(word2, low), hn::ShiftLeft<32>(word3)), wide, out);
  }
}

#endif  // HWY_TARGET == HWY_SCALAR

/// scratch.factors()[e] = what dropout multiplies the weight of edge e of the row with. Edges are
/// in ascending order, so those of one Philox block follow one another and share it. count > 0.
HWY_INLINE void dropout_row(std::uint32_t row, const std::int32_t* columns, std::int64_t count,
                            PhiloxKey key, std::uint32_t threshold, const RowScratch& scratch) {
  std::uint32_t* groups = scratch.groups();
  std::int32_t* places = scratch.places();
  std::int32_t place = 0;
  std::uint32_t previous = static_cast<std::uint32_t>(columns[0]) / 8;
  for (std::int64_t e = 0; e < count; ++e) {
    const auto group = static_cast<std::uint32_t>(columns[e]) / 8;
    place += group != previous ? 1 : 0;
    previous = group;
    groups[place] = group;
    places[e] = place;
  }
  const std::int64_t group_count = place + 1;
  // The last vector of either list is used whole.
  for (std::int64_t i = 0; i < kWidestLanes; ++i) {
    groups[group_count + i] = 0;
    places[count + i] = 0;
  }
  draw_groups(row, groups, group_count, key, scratch.words());

  const hn::RebindToSigned<Floats> integers;
  const hn::RebindToUnsigned<Floats> words;
  const auto* drawn = reinterpret_cast<const std::int32_t*>(scratch.words());
  const Vector kept = hn::Set(kFloats, static_cast<float>(attention_dropout_scale(threshold)));
  const auto limit = hn::Set(integers, static_cast<std::int32_t>(threshold));
  std::int32_t spare[kWidestLanes];
  for (std::int64_t begin = 0; begin < count; begin += kLanes) {
    const auto column = hn::LoadU(integers, tile_columns(columns, begin, count, spare));
    const auto word_in_block =
        hn::And(hn::ShiftRight<1>(column), hn::Set(integers, std::int32_t{3}));
    const auto index = hn::Add(hn::ShiftLeft<2>(hn::Load(integers, places + begin)), word_in_block);
    const auto word = hn::BitCast(words, hn::GatherIndex(integers, drawn, index));
    const auto is_high = hn::Eq(hn::And(column, hn::Set(integers, std::int32_t{1})),
                                hn::Set(integers, std::int32_t{1}));
    const auto half = hn::IfThenElse(
        is_high, hn::BitCast(integers, hn::ShiftRight<16>(word)),
        hn::And(hn::BitCast(integers, word), hn::Set(integers, std::int32_t{0xFFFF})));
    const auto dropped = hn::RebindMask(kFloats, hn::Lt(half, limit));
    hn::Store(hn::IfThenZeroElse(dropped, kept), kFloats, scratch.factors() + begin);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif  // include guard
