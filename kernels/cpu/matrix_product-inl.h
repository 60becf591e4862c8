// Products of matrices of floats in register tiles, once for each instruction set. Included by
// foreach_target.

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
#include "kernels/cpu/bf16-inl.h"

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

/// How a tile adds up: products of floats, or of the two bfloat16 numbers that each float's bits
/// hold (bf16::pair_of).
struct FloatStep {
  static constexpr bool kPairs = false;
  static HWY_INLINE Vector add(Vector factor, Vector column, Vector sum) {
    return hn::MulAdd(factor, column, sum);
  }
};
template <bool kNative>
struct Bf16Step {
  static constexpr bool kPairs = true;
  static HWY_INLINE Vector add(Vector factor, Vector column, Vector sum) {
    return bf16::add_pair_products<kNative>(hn::BitCast(bf16::kWords, factor),
                                            hn::BitCast(bf16::kWords, column), sum);
  }
};

/// Element (r, i) of the left matrix is data[r * row_stride + i * inner_stride].
struct Left {
  const float* data = nullptr;
  std::int64_t row_stride = 0;
  std::int64_t inner_stride = 1;
};

/// Row i of the right matrix is data[i * stride ...], readable up to whole vectors.
struct Right {
  const float* data = nullptr;
  std::int64_t stride = 0;
};

/// Where the product goes; never written beyond `columns`.
struct Output {
  float* data = nullptr;
  std::int64_t stride = 0;
  std::int64_t columns = 0;
  bool add = false;  ///< to what is there
};

/// Columns [first, first + width) of a matrix, row by row, zeros beyond its last one. Element
/// (r, c) of the matrix is from[r * row_stride + c * column_stride].
inline void pack_panel(const float* from, std::int64_t row_stride, std::int64_t column_stride,
                       std::int64_t rows, std::int64_t columns, std::int64_t first,
                       std::int64_t width, float* panel) {
  const std::int64_t count = std::min(width, columns - first);
  for (std::int64_t r = 0; r < rows; ++r, panel += width) {
    const float* row = from + r * row_stride + first * column_stride;
    if (column_stride == 1) {
      std::memcpy(panel, row, static_cast<std::size_t>(count) * sizeof(float));
    } else {
      for (std::int64_t c = 0; c < count; ++c) panel[c] = row[c * column_stride];
    }
    std::fill(panel + count, panel + width, 0.0F);
  }
}

/// kRows rows and kVectors vectors of columns of left times right.
template <typename Step, int kRows, int kVectors>
HWY_NOINLINE void multiply_tile(const Left& left, const Right& right, std::int64_t inner,
                                const Output& output) {
  Vector sums[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::Zero(kFloats);
  }
  const float* factors = left.data;
  const float* row = right.data;
  for (std::int64_t i = 0; i < inner; ++i, factors += left.inner_stride, row += right.stride) {
    Vector columns[kVectors];
    for (int v = 0; v < kVectors; ++v) columns[v] = hn::LoadU(kFloats, row + v * kLanes);
    for (int r = 0; r < kRows; ++r) {
      const Vector factor = hn::Set(kFloats, factors[r * left.row_stride]);
      for (int v = 0; v < kVectors; ++v) {
        sums[r][v] = Step::add(factor, columns[v], sums[r][v]);
      }
    }
  }
  const auto store = [&](float* to, std::int64_t stride, bool add) HWY_ATTR {
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) {
        float* place = to + r * stride + v * kLanes;
        const Vector sum = sums[r][v];
        hn::StoreU(add ? hn::Add(hn::LoadU(kFloats, place), sum) : sum, kFloats, place);
      }
    }
  };
  if (output.columns >= kVectors * kLanes) {
    store(output.data, output.stride, output.add);
    return;
  }
  HWY_ALIGN float tile[kRows * kVectors * kLanes];
  store(tile, kVectors * kLanes, false);
  for (int r = 0; r < kRows; ++r) {
    float* to = output.data + r * output.stride;
    for (std::int64_t c = 0; c < output.columns; ++c) {
      to[c] = (output.add ? to[c] : 0.0F) + tile[r * kVectors * kLanes + c];
    }
  }
}

/// As above for `rows` <= kTileRows rows.
template <typename Step, int kVectors>
HWY_INLINE void multiply_rows(std::int64_t rows, const Left& left, const Right& right,
                              std::int64_t inner, const Output& output) {
  switch (rows) {
    case 1:
      return multiply_tile<Step, 1, kVectors>(left, right, inner, output);
    case 2:
      return multiply_tile<Step, 2, kVectors>(left, right, inner, output);
    case 3:
      return multiply_tile<Step, 3, kVectors>(left, right, inner, output);
    case 4:
      return multiply_tile<Step, 4, kVectors>(left, right, inner, output);
    case 5:
      return multiply_tile<Step, 5, kVectors>(left, right, inner, output);
    default:
      return multiply_tile<Step, kTileRows, kVectors>(left, right, inner, output);
  }
}

/// output [rows, output.columns] (+)= left [rows, inner] times right [inner, output.columns]. The
/// sum over `inner` runs from first to last for every element; with Bf16Step `inner` counts pairs.
template <typename Step = FloatStep>
void multiply(std::int64_t rows, std::int64_t inner, const Left& left, const Right& right,
              const Output& output) {
  for (std::int64_t c = 0; c < output.columns;) {
    const std::int64_t vectors = (output.columns - c + kLanes - 1) / kLanes;
    const Right panel = {right.data + c, right.stride};
    const int width = vectors >= kTileVectors ? kTileVectors : vectors >= 2 ? 2 : 1;
    for (std::int64_t r = 0; r < rows; r += kTileRows) {
      const std::int64_t height = std::min<std::int64_t>(kTileRows, rows - r);
      const Left block = {left.data + r * left.row_stride, left.row_stride, left.inner_stride};
      const Output tile = {output.data + r * output.stride + c, output.stride, output.columns - c,
                           output.add};
      if (width == kTileVectors) {
        multiply_rows<Step, kTileVectors>(height, block, panel, inner, tile);
      } else if (width == 2) {
        multiply_rows<Step, 2>(height, block, panel, inner, tile);
      } else {
        multiply_rows<Step, 1>(height, block, panel, inner, tile);
      }
    }
    c += width * kLanes;
  }
}

}  // namespace product

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif  // include guard
