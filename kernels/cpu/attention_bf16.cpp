// Highway leaves out the instruction set beside which bfloat16 products stand unless asked for it.
#define HWY_WANT_AVX3_DL

#include "kernels/cpu/attention_bf16.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "kernels/cpu/target.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_bf16.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/bf16-inl.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using bf16::kFloats;
using bf16::kLanes;
using bf16::kWords;
using bf16::Vector;
using bf16::Word;

/// Columns whose rounded memberships fill a vector. Each block of 128 bits of it holds half as many
/// of the first kLanes columns, then as many of the others, so that interleaving two rows leaves
/// both in their order.
constexpr std::int64_t kGroup = 2 * kLanes;
constexpr std::int64_t kMostClusters = 256;

#if HWY_TARGET == HWY_SCALAR

HWY_INLINE void store_group(Word first, Word second, std::uint16_t* to) {
  to[0] = static_cast<std::uint16_t>(hn::GetLane(first) >> 16);
  to[1] = static_cast<std::uint16_t>(hn::GetLane(second) >> 16);
}

HWY_INLINE void load_pairs(const std::uint16_t* a, const std::uint16_t* b, Word& first,
                           Word& second) {
  first = hn::Set(kWords, a[0] | std::uint32_t{b[0]} << 16);
  second = hn::Set(kWords, a[1] | std::uint32_t{b[1]} << 16);
}

#else

/// Stores the upper halves of both.
HWY_INLINE void store_group(Word first, Word second, std::uint16_t* to) {
  const hn::RebindToSigned<decltype(kWords)> integers;
  const hn::Repartition<std::int16_t, decltype(kWords)> halves;
  const hn::RebindToUnsigned<decltype(halves)> unsigned_halves;
  // Shifted as signed numbers they fit 16 bits, so nothing saturates.
  const auto upper = [&](Word word)
                         HWY_ATTR { return hn::ShiftRight<16>(hn::BitCast(integers, word)); };
  hn::StoreU(
      hn::BitCast(unsigned_halves, hn::ReorderDemote2To(halves, upper(first), upper(second))),
      unsigned_halves, to);
}

/// The pairs (a, b) of a group's columns.
HWY_INLINE void load_pairs(const std::uint16_t* a, const std::uint16_t* b, Word& first,
                           Word& second) {
  const hn::Repartition<std::uint16_t, decltype(kWords)> halves;
  const auto of_a = hn::LoadU(halves, a);
  const auto of_b = hn::LoadU(halves, b);
  first = hn::BitCast(kWords, hn::InterleaveLower(halves, of_a, of_b));
  second = hn::BitCast(kWords, hn::InterleaveUpper(halves, of_a, of_b));
}

#endif  // HWY_TARGET == HWY_SCALAR

std::int64_t RowWidth(std::int64_t clusters) { return round_up(clusters, kGroup); }

void RoundMemberships(Rows rows, std::int64_t count, std::int64_t clusters, std::uint16_t* to) {
  float padded[kMostClusters] = {};
  for (std::int64_t i = 0; i < count; ++i) {
    const float* row = rows[i];
    if (clusters % kGroup != 0) {
      std::memcpy(padded, row, static_cast<std::size_t>(clusters) * sizeof(float));
      row = padded;
    }
    for (std::int64_t c = 0; c < clusters; c += kGroup, to += kGroup) {
      store_group(bf16::rounded(hn::LoadU(kFloats, row + c)),
                  bf16::rounded(hn::LoadU(kFloats, row + c + kLanes)), to);
    }
  }
}

/// A row of the tile: its edges name their keys and their G lies as rounded 16-bit numbers.
struct RowEdges {
  const std::int32_t* columns;
  const std::uint16_t* gradients;

  HWY_INLINE std::int64_t index(std::int64_t edge) const { return columns[edge]; }
  HWY_INLINE std::uint32_t pair(std::int64_t edge) const {
    std::uint32_t both;
    std::memcpy(&both, gradients + edge, sizeof(both));
    return both;
  }
  HWY_INLINE std::uint32_t single(std::int64_t edge) const { return gradients[edge]; }
};

/// A key of the tile: its edges are packed as kEdgeWords words, the third of which is rounded G.
struct KeyEdges {
  const float* words;

  HWY_INLINE std::uint32_t word(std::int64_t edge, int place) const {
    std::uint32_t bits;
    std::memcpy(&bits, words + kEdgeWords * edge + place, sizeof(bits));
    return bits;
  }
  HWY_INLINE std::int64_t index(std::int64_t edge) const { return word(edge, 3); }
  HWY_INLINE std::uint32_t pair(std::int64_t edge) const {
    return word(edge, 2) >> 16 | word(edge + 1, 2);
  }
  HWY_INLINE std::uint32_t single(std::int64_t edge) const { return word(edge, 2) >> 16; }
};

/// kGroups groups of columns of sum (+)= sum over edges of G times the row of the edge, two edges
/// at a time. Several partial sums hide the latency of the additions.
template <bool kNative, int kGroups, typename Edges>
HWY_INLINE void add_group_rows(const Edges& edges, std::int64_t count, HalfRows rows, float* sum,
                               bool add) {
  constexpr int kPartials = kGroups == 1 ? 4 : kGroups == 2 ? 2 : 1;
  Vector partial[kPartials][kGroups][2];
  for (int p = 0; p < kPartials; ++p) {
    for (int g = 0; g < kGroups; ++g) partial[p][g][0] = partial[p][g][1] = hn::Zero(kFloats);
  }
  if (add) {
    for (int g = 0; g < kGroups; ++g) {
      partial[0][g][0] = hn::LoadU(kFloats, sum + g * kGroup);
      partial[0][g][1] = hn::LoadU(kFloats, sum + g * kGroup + kLanes);
    }
  }
  const auto add_pair = [&](const std::uint16_t* a, const std::uint16_t* b, std::uint32_t pair,
                            int p) HWY_ATTR {
    const Word weights = hn::Set(kWords, pair);
    for (int g = 0; g < kGroups; ++g) {
      Word first, second;
      load_pairs(a + g * kGroup, b + g * kGroup, first, second);
      partial[p][g][0] = bf16::add_pair_products<kNative>(first, weights, partial[p][g][0]);
      partial[p][g][1] = bf16::add_pair_products<kNative>(second, weights, partial[p][g][1]);
    }
  };
  const auto add_edges = [&](std::int64_t edge, int p) HWY_ATTR {
    add_pair(rows[edges.index(edge)], rows[edges.index(edge + 1)], edges.pair(edge), p);
  };
  std::int64_t edge = 0;
  for (; edge + 2 * kPartials <= count; edge += 2 * kPartials) {
    for (int p = 0; p < kPartials; ++p) add_edges(edge + 2 * p, p);
  }
  for (; edge + 2 <= count; edge += 2) add_edges(edge, 0);
  if (edge < count) {
    const std::uint16_t* row = rows[edges.index(edge)];
    add_pair(row, row, edges.single(edge), 0);
  }
  for (int g = 0; g < kGroups; ++g) {
    for (int h = 0; h < 2; ++h) {
      Vector total = partial[0][g][h];
      for (int p = 1; p < kPartials; ++p) total = hn::Add(total, partial[p][g][h]);
      hn::StoreU(total, kFloats, sum + g * kGroup + h * kLanes);
    }
  }
}

template <bool kNative, typename Edges>
void add_rows(const Edges& edges, std::int64_t count, HalfRows rows, std::int64_t clusters,
              float* sum, bool add) {
  // As many sums at once as leave registers free on every instruction set.
  constexpr std::int64_t kWidest = kLanes == 16 ? 4 : 2;
  float padded[kMostClusters + kGroup];
  const bool whole = clusters % kGroup == 0;
  const auto bytes = static_cast<std::size_t>(clusters) * sizeof(float);
  if (!whole && add) std::memcpy(padded, sum, bytes);
  float* to = whole ? sum : padded;
  for (std::int64_t groups = ceil_divide(clusters, kGroup); groups > 0;) {
    const std::int64_t now = std::min(groups, kWidest);
    switch (now) {
      case 1:
        add_group_rows<kNative, 1>(edges, count, rows, to, add);
        break;
      case 2:
        add_group_rows<kNative, 2>(edges, count, rows, to, add);
        break;
      case 3:
        add_group_rows<kNative, 3>(edges, count, rows, to, add);
        break;
      default:
        add_group_rows<kNative, 4>(edges, count, rows, to, add);
        break;
    }
    groups -= now;
    rows.data += now * kGroup;
    to += now * kGroup;
  }
  if (!whole) std::memcpy(sum, padded, bytes);
}

template <bool kNative>
void tile_rows(const BackwardHead& head, const Tile& tile, const RowCursors& cursors,
               const TileEdges& edges) {
  const bool add = tile.first_key > 0 || head.cells.are_probes;
  const std::uint16_t* gradients = edges.gradients();
  for (std::int64_t i = tile.first_row; i < tile.last_row; ++i) {
    const std::int64_t begin = cursors.begins()[i - tile.first_row];
    const std::int64_t count = cursors.ends()[i - tile.first_row] - begin;
    if (add && count == 0) continue;
    add_rows<kNative>(RowEdges{head.cells.columns + begin, gradients}, count,
                      head.key_membership_bf16, head.clusters, head.query_product[i], add);
    gradients += count;
  }
}

template <bool kNative>
void tile_keys(const BackwardHead& head, const Tile& tile, const TileEdges& edges) {
  const std::int64_t* ends = edges.cursors();
  const bool add = tile.first_row > 0 || head.cells.are_probes;
  std::int64_t begin = 0;
  for (std::int64_t j = tile.first_key; j < tile.last_key; ++j) {
    const std::int64_t count = ends[j - tile.first_key] - begin;
    const KeyEdges key_edges = {edges.values() + kEdgeWords * begin};
    begin += count;
    if (add && count == 0) continue;
    add_rows<kNative>(key_edges, count, head.query_membership_bf16, head.clusters,
                      head.key_product[j], add);
  }
}

void TileRows(const BackwardHead& head, const Tile& tile, const RowCursors& cursors,
              const TileEdges& edges, [[maybe_unused]] bool native) {
#if HWY_TARGET == HWY_AVX3_DL
  if (native) return tile_rows<true>(head, tile, cursors, edges);
#endif
  tile_rows<false>(head, tile, cursors, edges);
}

void TileKeys(const BackwardHead& head, const Tile& tile, const TileEdges& edges,
              [[maybe_unused]] bool native) {
#if HWY_TARGET == HWY_AVX3_DL
  if (native) return tile_keys<true>(head, tile, edges);
#endif
  tile_keys<false>(head, tile, edges);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sbm::kernels::cpu {
namespace {

HWY_EXPORT(RowWidth);
HWY_EXPORT(RoundMemberships);
HWY_EXPORT(TileRows);
HWY_EXPORT(TileKeys);

}  // namespace

std::int64_t bf16_row_width(std::int64_t clusters) {
  return HWY_DYNAMIC_DISPATCH(RowWidth)(clusters);
}

void round_memberships(Rows rows, std::int64_t count, std::int64_t clusters, std::uint16_t* to) {
  HWY_DYNAMIC_DISPATCH(RoundMemberships)(rows, count, clusters, to);
}

void bf16_tile_rows(const BackwardHead& head, const Tile& tile, const RowCursors& cursors,
                    const TileEdges& edges) {
  HWY_DYNAMIC_DISPATCH(TileRows)(head, tile, cursors, edges, has_bf16_products());
}

void bf16_tile_keys(const BackwardHead& head, const Tile& tile, const TileEdges& edges) {
  HWY_DYNAMIC_DISPATCH(TileKeys)(head, tile, edges, has_bf16_products());
}

}  // namespace sbm::kernels::cpu
#endif  // HWY_ONCE
