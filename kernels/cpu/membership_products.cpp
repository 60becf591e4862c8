// Highway leaves out the instruction set beside which bfloat16 products stand unless asked for it.
#define HWY_WANT_AVX3_DL

#include "kernels/cpu/membership_products.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "kernels/cpu/target.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/membership_products.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/bf16-inl.h"
#include "kernels/cpu/matrix_product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using product::kFloats;
using product::kLanes;
using product::kTileColumns;
using product::kTileRows;
using product::Vector;

/// Tokens whose panel stays in the first cache while all rows of the gradient use it; even.
constexpr std::int64_t kOuterProductTokens = 128;

std::int64_t ProductRows() { return kTileRows; }
std::int64_t PanelColumns() { return kTileColumns; }
std::int64_t PackedRowSize(std::int64_t size) { return round_up(size, 2 * kLanes); }
std::int64_t PackedSquareSize(std::int64_t size) { return size * round_up(size, kTileColumns); }
std::int64_t GradientPanelsSize(std::int64_t rows) {
  return kOuterProductTokens * (kTileColumns + round_up(rows, kLanes));
}

/// Rounds two vectors and pairs their lanes.
HWY_INLINE void store_pairs(Vector first, Vector second, float* to) {
  const bf16::Word pairs = bf16::pair_of(bf16::rounded(first), bf16::rounded(second));
  hn::StoreU(hn::BitCast(kFloats, pairs), kFloats, to);
}

/// The vector at row[begin], zeros from row[end] on; zeros for a null row.
HWY_INLINE Vector load_until(const float* row, std::int64_t begin, std::int64_t end) {
  if (row == nullptr || begin >= end) return hn::Zero(kFloats);
  if (begin + kLanes <= end) return hn::LoadU(kFloats, row + begin);
  float padded[kLanes] = {};
  std::memcpy(padded, row + begin, static_cast<std::size_t>(end - begin) * sizeof(float));
  return hn::LoadU(kFloats, padded);
}

/// Columns [first, first + width) of rows [0, rows) of a matrix, two rows in one; zeros beyond the
/// last row and from column `columns` on.
void pack_row_pairs(const float* from, std::int64_t stride, std::int64_t rows, std::int64_t columns,
                    std::int64_t first, std::int64_t width, float* to) {
  for (std::int64_t r = 0; r < rows; r += 2, to += width) {
    const float* row = from + r * stride;
    const float* next = r + 1 < rows ? row + stride : nullptr;
    for (std::int64_t c = 0; c < width; c += kLanes) {
      store_pairs(load_until(row, first + c, columns), load_until(next, first + c, columns),
                  to + c);
    }
  }
}

/// A row's neighbours in pairs, PackedRowSize(size) / 2 of them.
HWY_INLINE void pack_neighbours(const float* row, std::int64_t size, float* to) {
  float padded[2 * kLanes] = {};
  for (std::int64_t c = 0; c < size; c += 2 * kLanes) {
    const float* from = row + c;
    if (c + 2 * kLanes > size) {
      std::memcpy(padded, from, static_cast<std::size_t>(size - c) * sizeof(float));
      from = padded;
    }
    Vector even, odd;
    hn::LoadInterleaved2(kFloats, from, even, odd);
    store_pairs(even, odd, to + c / 2);
  }
}

void PackSquare(const float* matrix, std::int64_t size, bool transposed, float* panels) {
  for (std::int64_t first = 0; first < size; first += kTileColumns) {
    product::pack_panel(matrix, transposed ? 1 : size, transposed ? size : 1, size, size, first,
                        kTileColumns, panels + first * size);
  }
}

void PackSquareBf16(const float* matrix, std::int64_t size, bool transposed, float* panels) {
  constexpr std::int64_t kMostClusters = 256;
  HWY_ALIGN float rows[2 * (kMostClusters + kTileColumns)];
  for (std::int64_t first = 0; first < size; first += kTileColumns) {
    float* to = panels + first * size;
    for (std::int64_t r = 0; r < size; r += 2, to += kTileColumns) {
      const std::int64_t count = std::min<std::int64_t>(2, size - r);
      product::pack_panel(transposed ? matrix + r : matrix + r * size, transposed ? 1 : size,
                          transposed ? size : 1, count, size, first, kTileColumns, rows);
      pack_row_pairs(rows, kTileColumns, count, kTileColumns, 0, kTileColumns, to);
    }
  }
}

template <typename Step>
void multiply_in_place_by(float* rows, std::int64_t count, std::int64_t size, const float* panels,
                          float* copy) {
  constexpr bool kPairs = Step::kPairs;
  const std::int64_t inner = kPairs ? ceil_divide<std::int64_t>(size, 2) : size;
  const std::int64_t stride = kPairs ? PackedRowSize(size) / 2 : size;
  for (std::int64_t begin = 0; begin < count; begin += kTileRows) {
    const std::int64_t height = std::min<std::int64_t>(kTileRows, count - begin);
    float* tile = rows + begin * size;
    if constexpr (kPairs) {
      for (std::int64_t r = 0; r < height; ++r) {
        pack_neighbours(tile + r * size, size, copy + r * stride);
      }
    } else {
      std::memcpy(copy, tile, static_cast<std::size_t>(height * size) * sizeof(float));
    }
    for (std::int64_t first = 0; first < size; first += kTileColumns) {
      product::multiply<Step>(
          height, inner, {.data = copy, .row_stride = stride},
          {.data = panels + first * size, .stride = kTileColumns},
          {.data = tile + first, .stride = size, .columns = std::min(kTileColumns, size - first)});
    }
  }
}

template <typename Step>
void add_outer_products_by(const float* membership, const float* right, std::int64_t tokens,
                           std::int64_t size, const GradientPiece& piece, bool add, float* gradient,
                           float* panels) {
  const std::int64_t rows = piece.row_end - piece.row_begin;
  const product::Output output = {
      .data = gradient + piece.row_begin * size + piece.first_column,
      .stride = size,
      .columns = std::min(kTileColumns, size - piece.first_column),
  };
  for (std::int64_t begin = 0; begin < tokens; begin += kOuterProductTokens) {
    std::int64_t inner = std::min(kOuterProductTokens, tokens - begin);
    const float* right_rows = right + begin * size;
    const float* left_rows = membership + begin * size;
    product::Left left = {
        .data = left_rows + piece.row_begin, .row_stride = 1, .inner_stride = size};
    if constexpr (Step::kPairs) {
      pack_row_pairs(right_rows, size, inner, size, piece.first_column, kTileColumns, panels);
      float* left_pairs = panels + kOuterProductTokens / 2 * kTileColumns;
      const std::int64_t width = round_up(rows, kLanes);
      pack_row_pairs(left_rows, size, inner, piece.row_end, piece.row_begin, width, left_pairs);
      left = {.data = left_pairs, .row_stride = 1, .inner_stride = width};
      inner = ceil_divide<std::int64_t>(inner, 2);
    } else {
      product::pack_panel(right_rows, size, 1, inner, size, piece.first_column, kTileColumns,
                          panels);
    }
    product::Output part = output;
    part.add = add || begin > 0;
    product::multiply<Step>(rows, inner, left, {.data = panels, .stride = kTileColumns}, part);
  }
}

/// Calls work(step) with how factors multiply.
template <typename Work>
HWY_INLINE void with_step(bool bf16, [[maybe_unused]] bool native, const Work& work) {
  if (!bf16) return work(product::FloatStep());
#if HWY_TARGET == HWY_AVX3_DL
  if (native) return work(product::Bf16Step<true>());
#endif
  work(product::Bf16Step<false>());
}

void MultiplyInPlace(float* rows, std::int64_t count, std::int64_t size, const float* panels,
                     bool bf16, bool native, float* copy) {
  with_step(bf16, native, [&](auto step) HWY_ATTR {
    multiply_in_place_by<decltype(step)>(rows, count, size, panels, copy);
  });
}

void AddOuterProducts(const float* membership, const float* right, std::int64_t tokens,
                      std::int64_t size, const GradientPiece& piece, bool add, bool bf16,
                      bool native, float* gradient, float* panels) {
  with_step(bf16, native, [&](auto step) HWY_ATTR {
    add_outer_products_by<decltype(step)>(membership, right, tokens, size, piece, add, gradient,
                                          panels);
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sbm::kernels::cpu {
namespace {

HWY_EXPORT(ProductRows);
HWY_EXPORT(PanelColumns);
HWY_EXPORT(PackedRowSize);
HWY_EXPORT(PackedSquareSize);
HWY_EXPORT(GradientPanelsSize);
HWY_EXPORT(PackSquare);
HWY_EXPORT(PackSquareBf16);
HWY_EXPORT(MultiplyInPlace);
HWY_EXPORT(AddOuterProducts);

}  // namespace

std::int64_t product_rows() { return HWY_DYNAMIC_DISPATCH(ProductRows)(); }

std::int64_t packed_square_size(std::int64_t size) {
  return HWY_DYNAMIC_DISPATCH(PackedSquareSize)(size);
}

std::int64_t packed_row_size(std::int64_t size) {
  return HWY_DYNAMIC_DISPATCH(PackedRowSize)(size);
}

std::int64_t gradient_columns() { return HWY_DYNAMIC_DISPATCH(PanelColumns)(); }

std::int64_t gradient_panels_size(std::int64_t rows) {
  return HWY_DYNAMIC_DISPATCH(GradientPanelsSize)(rows);
}

void pack_square(const float* matrix, std::int64_t size, bool transposed, bool bf16,
                 float* panels) {
  if (bf16) {
    HWY_DYNAMIC_DISPATCH(PackSquareBf16)(matrix, size, transposed, panels);
  } else {
    HWY_DYNAMIC_DISPATCH(PackSquare)(matrix, size, transposed, panels);
  }
}

void multiply_in_place(float* rows, std::int64_t count, std::int64_t size, const float* panels,
                       bool bf16, float* copy) {
  HWY_DYNAMIC_DISPATCH(MultiplyInPlace)
  (rows, count, size, panels, bf16, has_bf16_products(), copy);
}

void add_outer_products(const float* membership, const float* right, std::int64_t tokens,
                        std::int64_t size, const GradientPiece& piece, bool add, bool bf16,
                        float* gradient, float* panels) {
  HWY_DYNAMIC_DISPATCH(AddOuterProducts)
  (membership, right, tokens, size, piece, add, bf16, has_bf16_products(), gradient, panels);
}

}  // namespace sbm::kernels::cpu
#endif  // HWY_ONCE
