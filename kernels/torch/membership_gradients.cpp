#include "kernels/torch/membership_gradients.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <c10/util/irange.h>

#include <algorithm>

#include "base/checked.h"
#include "kernels/torch/executor.h"

namespace sbm::kernels::torch {

namespace {

// Heights of the pieces; they decide which thread computes what, never a bit.
constexpr std::int64_t kProductRows = 256;
constexpr std::int64_t kBlockMatrixRows = 32;

// Pieces run on LibTorch's workers, which know nothing of the caller's modes.
void for_each_piece(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  IntraOpExecutor().parallel_for(count, [&](std::int64_t piece) {
    const at::AutoDispatchBelowADInplaceOrView plain_kernels;
    body(piece);
  });
}

// product[b, h] = product[b, h] factor[h], a block of rows at a time.
void multiply_in_place(const at::Tensor& product, const at::Tensor& factor) {
  const std::int64_t heads = product.size(1);
  const std::int64_t blocks = ceil_divide(product.size(2), kProductRows);
  for_each_piece(product.size(0) * heads * blocks, [&](std::int64_t piece) {
    const std::int64_t head = piece / blocks % heads;
    const std::int64_t start = piece % blocks * kProductRows;
    at::Tensor rows = product[piece / blocks / heads][head].narrow(
        0, start, std::min(kProductRows, product.size(2) - start));
    rows.copy_(at::mm(rows, factor[head]));
  });
}

}  // namespace

at::Tensor membership_gradients(at::Tensor& query_product, at::Tensor& key_product,
                                const at::Tensor& query_membership,
                                const at::Tensor& block_matrix) {
  const std::int64_t batch = query_product.size(0);
  const std::int64_t clusters = query_product.size(3);
  at::Tensor grad_block_matrix = at::zeros_like(block_matrix, at::MemoryFormat::Contiguous);
  const std::int64_t blocks = ceil_divide(clusters, kBlockMatrixRows);
  for_each_piece(query_product.size(1) * blocks, [&](std::int64_t piece) {
    const std::int64_t head = piece / blocks;
    const std::int64_t start = piece % blocks * kBlockMatrixRows;
    const std::int64_t count = std::min(kBlockMatrixRows, clusters - start);
    at::Tensor rows = grad_block_matrix[head].narrow(0, start, count);
    for (const std::int64_t sample : c10::irange(batch)) {
      rows.addmm_(query_membership[sample][head].narrow(1, start, count).t(),
                  query_product[sample][head]);
    }
  });
  multiply_in_place(query_product, block_matrix.transpose(1, 2));
  multiply_in_place(key_product, block_matrix);
  return grad_block_matrix;
}

}  // namespace sbm::kernels::torch
