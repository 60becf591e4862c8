// Highway leaves out the instruction set whose 16-bit dot products accumulate unless asked for it.
#define HWY_WANT_AVX3_DL

#include "kernels/cpu/sampler_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/sampler_rows.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/sampler_cells-inl.h"
#include "kernels/cpu/sampler_coarse-inl.h"
#include "kernels/cpu/sampler_columns-inl.h"
#include "kernels/cpu/sampler_costs-inl.h"
#include "kernels/cpu/sampler_pack-inl.h"
#include "kernels/cpu/sampler_screen-inl.h"
#include "kernels/cpu/sampler_sums-inl.h"

#if HWY_ONCE
namespace sbm::kernels::cpu {
namespace {

HWY_EXPORT(ListCellSlots);
HWY_EXPORT(PackTiles);
HWY_EXPORT(QuantizeRows);
HWY_EXPORT(MultiplyRows);
HWY_EXPORT(RequantizeRows);
HWY_EXPORT(SumKeys);
HWY_EXPORT(AccumulateKeys);
HWY_EXPORT(SumWeights);
HWY_EXPORT(SampleEveryCell);
HWY_EXPORT(PackCoarse);
HWY_EXPORT(SampleCoarsely);
HWY_EXPORT(BoundKeys);
HWY_EXPORT(BoundRows);
HWY_EXPORT(SampleScreened);
HWY_EXPORT(CostsOfForms);
HWY_EXPORT(ListColumns);

std::size_t size(std::int64_t count) { return static_cast<std::size_t>(count); }

}  // namespace

void list_cell_slots(std::int32_t* slots) { HWY_DYNAMIC_DISPATCH(ListCellSlots)(slots); }

void pack_tiles(const std::uint16_t* entries, std::int64_t stride, TileOrder order,
                DotTiles& tiles) {
  tiles.tiles.reserve(size(tiles.blocks() * kBlockKeys * 2 * tiles.pairs()));
  HWY_DYNAMIC_DISPATCH(PackTiles)(entries, stride, order, tiles);
}

bool quantize_rows(const float* memberships, const std::uint8_t* valid, std::int64_t rows,
                   std::int64_t clusters, std::int64_t stride, std::uint16_t* entries,
                   std::uint8_t* exponents) {
  return HWY_DYNAMIC_DISPATCH(QuantizeRows)(memberships, valid, rows, clusters, stride, entries,
                                            exponents);
}

void multiply_rows(const std::uint16_t* const* rows, int count, const DotTiles& columns,
                   std::uint32_t* products) {
  HWY_DYNAMIC_DISPATCH(MultiplyRows)(rows, count, columns, products);
}

void requantize_rows(const std::uint32_t* products, int count, const std::int32_t* block_exponents,
                     std::int64_t clusters, const std::uint8_t* query_exponents,
                     std::uint16_t* weights, std::int32_t* row_exponents) {
  HWY_DYNAMIC_DISPATCH(RequantizeRows)
  (products, count, block_exponents, clusters, query_exponents, weights, row_exponents);
}

void sum_keys(const QuantizedKeys& keys, int least_exponent, int scale_bits, std::uint64_t* strips,
              std::uint32_t* largest) {
  HWY_DYNAMIC_DISPATCH(SumKeys)(keys, least_exponent, scale_bits, strips, largest);
}

void accumulate_keys(const std::uint16_t* weights, const QuantizedKeys& keys,
                     const std::int32_t* columns, std::int64_t count, std::uint32_t* sums) {
  HWY_DYNAMIC_DISPATCH(AccumulateKeys)(weights, keys, columns, count, sums);
}

RowTotals sum_weights(const std::uint16_t* weights, const KeyTotals& totals,
                      std::int64_t clusters) {
  return HWY_DYNAMIC_DISPATCH(SumWeights)(weights, totals, clusters);
}

void sample_every_cell(const CellsCall& call) { HWY_DYNAMIC_DISPATCH(SampleEveryCell)(call); }

void sample_coarsely(const CellsCall& call) { HWY_DYNAMIC_DISPATCH(SampleCoarsely)(call); }

void pack_coarse(const std::uint16_t* entries, const std::uint8_t* exponents, std::int64_t keys,
                 std::int64_t clusters, CoarseTiles& tiles) {
  const std::int64_t blocks = (keys + kBlockKeys - 1) / kBlockKeys;
  tiles.tiles.reserve(size(blocks * kBlockKeys * 4 * ((clusters + 3) / 4)));
  tiles.exponents.reserve(size(blocks * kBlockKeys));
  HWY_DYNAMIC_DISPATCH(PackCoarse)(entries, exponents, keys, clusters, tiles);
}

void sample_screened(const CellsCall& call) { HWY_DYNAMIC_DISPATCH(SampleScreened)(call); }

void bound_keys(const std::uint16_t* entries, const std::uint8_t* exponents,
                const std::uint64_t* valid_bits, std::int64_t keys, std::int64_t clusters,
                KeyBounds& bounds) {
  const std::int64_t blocks = (keys + kBlockKeys - 1) / kBlockKeys;
  bounds.entries.reserve(size(blocks * entry_stride(clusters)));
  bounds.exponents.reserve(size(blocks));
  bounds.largest.count = blocks;
  bounds.largest.clusters = clusters;
  bounds.largest.tiles.reserve(
      size(bounds.largest.blocks() * kBlockKeys * 2 * bounds.largest.pairs()));
  HWY_DYNAMIC_DISPATCH(BoundKeys)(entries, exponents, valid_bits, keys, clusters, bounds);
}

void bound_rows(const CellsCall& call, const KeyBounds& bounds, std::int64_t stride,
                std::uint32_t* accumulators, std::int32_t* limits, float* candidates) {
  HWY_DYNAMIC_DISPATCH(BoundRows)(call, bounds, stride, accumulators, limits, candidates);
}

FormCosts form_costs(std::int64_t clusters) { return HWY_DYNAMIC_DISPATCH(CostsOfForms)(clusters); }

std::int64_t list_columns(const std::uint64_t* words, std::int64_t blocks, std::int32_t* columns) {
  return HWY_DYNAMIC_DISPATCH(ListColumns)(words, blocks, columns);
}

}  // namespace sbm::kernels::cpu
#endif
