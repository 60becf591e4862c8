// Products of small matrices of floats, once for each instruction set. Included by foreach_target.

#if defined(SBM_KERNELS_CPU_MATRIX_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SBM_KERNELS_CPU_MATRIX_PRODUCT_INL_H_
#undef SBM_KERNELS_CPU_MATRIX_PRODUCT_INL_H_
#else
#define SBM_KERNELS_CPU_MATRIX_PRODUCT_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

namespace product {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Vector = hn::Vec<Floats>;
constexpr Floats kFloats;
constexpr std::int64_t kLanes = static_cast<std::int64_t>(hn::MaxLanes(Floats()));

/// The sums of a tile stay in registers: 24 of AVX-512's 32, 12 of the 16 elsewhere.
constexpr int kTileRows = 6;
constexpr int kTileVectors = kLanes == 16 ? 4 : 2;
constexpr std::int64_t kTileColumns = kTileVectors * kLanes;

/// Columns [first, first + kTileColumns) of a matrix, row by row, zeros beyond its last one.
/// Element (r, c) of the matrix is from[r * row_stride + c * column_stride].
inline void pack_panel(const float* from, std::int64_t row_stride, std::int64_t column_stride,
                       std::int64_t rows, std::int64_t columns, std::int64_t first, float* panel) {
  const std::int64_t count = std::min(kTileColumns, columns - first);
  for (std::int64_t r = 0; r < rows; ++r, panel += kTileColumns) {
    const float* row = from + r * row_stride + first * column_stride;
    if (column_stride == 1) {
      std::memcpy(panel, row, static_cast<std::size_t>(count) * sizeof(float));
    } else {
      for (std::int64_t c = 0; c < count; ++c) panel[c] = row[c * column_stride];
    }
    std::fill(panel + count, panel + kTileColumns, 0.0F);
  }
}

/// Where a tile goes: `columns` of its columns exist.
struct TileOutput {
  float* data = nullptr;
  std::int64_t stride = 0;
  std::int64_t columns = 0;
  bool add = false;  ///< to what is there
};

/// kRows rows of (left times a packed panel): element (r, i) of the left matrix, r < kRows and
/// i < inner, is left[r * row_stride + i * inner_stride].
template <int kRows>
HWY_INLINE void multiply_tile(const float* left, std::int64_t row_stride, std::int64_t inner_stride,
                              std::int64_t inner, const float* panel, const TileOutput& output) {
  Vector sums[kRows][kTileVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kTileVectors; ++v) sums[r][v] = hn::Zero(kFloats);
  }
  for (std::int64_t i = 0; i < inner; ++i, panel += kTileColumns, left += inner_stride) {
    Vector columns[kTileVectors];
    for (int v = 0; v < kTileVectors; ++v) columns[v] = hn::Load(kFloats, panel + v * kLanes);
    for (int r = 0; r < kRows; ++r) {
      const Vector factor = hn::Set(kFloats, left[r * row_stride]);
      for (int v = 0; v < kTileVectors; ++v) {
        sums[r][v] = hn::MulAdd(factor, columns[v], sums[r][v]);
      }
    }
  }
  const auto store = [&](float* to, std::int64_t stride, bool add) HWY_ATTR {
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kTileVectors; ++v) {
        float* place = to + r * stride + v * kLanes;
        const Vector sum = sums[r][v];
        hn::StoreU(add ? hn::Add(hn::LoadU(kFloats, place), sum) : sum, kFloats, place);
      }
    }
  };
  if (output.columns == kTileColumns) {
    store(output.data, output.stride, output.add);
    return;
  }
  HWY_ALIGN float tile[kRows * kTileColumns];
  store(tile, kTileColumns, false);
  for (int r = 0; r < kRows; ++r) {
    float* row = output.data + r * output.stride;
    for (std::int64_t c = 0; c < output.columns; ++c) {
      row[c] = (output.add ? row[c] : 0.0F) + tile[r * kTileColumns + c];
    }
  }
}

/// As above for `rows` <= kTileRows rows.
HWY_INLINE void multiply_rows(std::int64_t rows, const float* left, std::int64_t row_stride,
                              std::int64_t inner_stride, std::int64_t inner, const float* panel,
                              const TileOutput& output) {
  switch (rows) {
    case 1:
      return multiply_tile<1>(left, row_stride, inner_stride, inner, panel, output);
    case 2:
      return multiply_tile<2>(left, row_stride, inner_stride, inner, panel, output);
    case 3:
      return multiply_tile<3>(left, row_stride, inner_stride, inner, panel, output);
    case 4:
      return multiply_tile<4>(left, row_stride, inner_stride, inner, panel, output);
    case 5:
      return multiply_tile<5>(left, row_stride, inner_stride, inner, panel, output);
    default:
      return multiply_tile<kTileRows>(left, row_stride, inner_stride, inner, panel, output);
  }
}

}  // namespace product

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif  // include guard
