#pragma once

#include <cstdint>

#include "kernels/cuda/attention_dense_product.cuh"
#include "kernels/cuda/mask_layout.h"
#include "kernels/cuda/ptx.cuh"

// Asynchronous copies of whole tiles into shared memory, by all threads of a block.
namespace sbm::kernels::cuda::dense {

/// Rows [tokens, features] of one graph in device memory.
template <class Element>
struct DeviceRows {
  Element* data = nullptr;
  std::int64_t stride = 0;

  __device__ __forceinline__ Element* row(std::int64_t token) const {
    return data + token * stride;
  }
};

/// The rows of graph `graph` of a tensor.
template <class Element, class Void>
__device__ __forceinline__ DeviceRows<Element> graph_rows(const HeadTensor<Void>& tensor,
                                                          std::int64_t heads, std::int64_t graph) {
  const std::int64_t offset =
      graph / heads * tensor.batch_stride + graph % heads * tensor.head_stride;
  return {static_cast<Element*>(tensor.data) + offset, tensor.token_stride};
}

/// Starts copying `width` elements (whole 16 bytes) of rows [first, first + Rows) to rows `Stride`
/// apart; zeros beyond the last of `count` rows.
template <int Rows, int Stride, int Threads, class Element>
__device__ __forceinline__ void copy_rows(Element* shared, const DeviceRows<const Element>& rows,
                                          int first, int count, int width) {
  constexpr int kPerPiece = 16 / static_cast<int>(sizeof(Element));
  const int pieces = width / kPerPiece;
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < Rows * pieces; i += Threads) {
    const int row = i / pieces;
    const int column = (i - row * pieces) * kPerPiece;
    const bool valid = first + row < count;
    const Element* source = valid ? rows.row(first + row) + column : rows.data;
    ptx::cp_async_16(shared + row * Stride + column, source, valid);
  }
}

/// A mask of many graphs as the tiles of one.
struct MaskTiles {
  const std::uint64_t* words = nullptr;  ///< null: no mask
  int row_tiles = 0;
  int column_tiles = 0;
};

__device__ __forceinline__ MaskTiles graph_mask(const std::uint64_t* mask, int queries, int keys,
                                                std::int64_t graph) {
  if (mask == nullptr) return {};
  return {mask + graph * mask_words(queries, keys), static_cast<int>(mask_tiles(queries)),
          static_cast<int>(mask_tiles(keys))};
}

/// Starts copying `Count` tiles, one below the other (`Down`) or side by side, to 64 words each;
/// zeros outside of the mask.
template <int Count, bool Down, int Threads>
__device__ __forceinline__ void copy_mask(std::uint64_t* shared, const MaskTiles& mask, int row,
                                          int column) {
  constexpr int kPieces = kMaskTile / 2;
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < Count * kPieces; i += Threads) {
    const int tile = i / kPieces;
    const int tile_row = row + (Down ? tile : 0);
    const int tile_column = column + (Down ? 0 : tile);
    const bool valid = tile_row < mask.row_tiles && tile_column < mask.column_tiles;
    const std::int64_t place =
        valid ? (std::int64_t{tile_row} * mask.column_tiles + tile_column) * kMaskTile +
                    i % kPieces * 2
              : 0;
    ptx::cp_async_16(shared + 2 * i, mask.words + place, valid);
  }
}

}  // namespace sbm::kernels::cuda::dense
