// Highway leaves out the instruction set whose 16-bit dot products accumulate unless asked for it.
#define HWY_WANT_AVX3_DL

#include "kernels/cpu/sampler_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/sampler_rows.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/sampler_cells-inl.h"
#include "kernels/cpu/sampler_pack-inl.h"

#if HWY_ONCE
namespace sbm::kernels::cpu {
namespace {

HWY_EXPORT(ListCellSlots);
HWY_EXPORT(PackTiles);
HWY_EXPORT(QuantizeRows);
HWY_EXPORT(MultiplyRows);
HWY_EXPORT(RequantizeRows);
HWY_EXPORT(SampleEveryCell);
HWY_EXPORT(ListColumns);

}  // namespace

void list_cell_slots(std::int32_t* slots) { HWY_DYNAMIC_DISPATCH(ListCellSlots)(slots); }

void pack_tiles(const std::uint16_t* entries, bool in_slot_order, DotTiles& tiles) {
  tiles.tiles.reserve(static_cast<std::size_t>(tiles.blocks() * kBlockKeys * tiles.stride));
  HWY_DYNAMIC_DISPATCH(PackTiles)(entries, in_slot_order, tiles);
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

void requantize_rows(std::uint32_t* products, int count, const std::int32_t* block_exponents,
                     std::int64_t clusters, const std::uint8_t* query_exponents,
                     std::uint16_t* weights, std::int32_t* row_exponents) {
  HWY_DYNAMIC_DISPATCH(RequantizeRows)
  (products, count, block_exponents, clusters, query_exponents, weights, row_exponents);
}

void sample_every_cell(const EveryCellCall& call) { HWY_DYNAMIC_DISPATCH(SampleEveryCell)(call); }

std::int64_t list_columns(const std::uint64_t* words, std::int64_t blocks, std::int32_t* columns) {
  return HWY_DYNAMIC_DISPATCH(ListColumns)(words, blocks, columns);
}

}  // namespace sbm::kernels::cpu
#endif
