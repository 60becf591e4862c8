#include "kernels/cpu/membership_gradients.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

#include "base/checked.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/target.h"
#include "kernels/cpu/workers.h"

#ifndef SBM_KERNELS_CPU_MEMBERSHIP_GRADIENTS_ONCE_
#define SBM_KERNELS_CPU_MEMBERSHIP_GRADIENTS_ONCE_
namespace sbm::kernels::cpu {
namespace {

/// What one packed panel holds at most.
struct PanelShape {
  std::int64_t columns = 0;
  std::int64_t tokens = 0;
  std::int64_t rows = 0;  ///< that a product works on at once
};

/// A part of the gradient of a block matrix that has one owner.
struct GradientPiece {
  std::int64_t row_begin = 0;
  std::int64_t row_end = 0;
  std::int64_t first_column = 0;
};

}  // namespace
}  // namespace sbm::kernels::cpu
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/membership_gradients.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/matrix_product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

/// Tokens whose panel stays in the first cache while all rows of the gradient use it.
constexpr std::int64_t kOuterProductTokens = 128;

PanelShape GetPanelShape() {
  return {
      .columns = product::kTileColumns, .tokens = kOuterProductTokens, .rows = product::kTileRows};
}

/// Packs a square matrix, or its transpose, panel after panel.
void PackSquare(const float* matrix, std::int64_t size, bool transposed, float* panels) {
  for (std::int64_t first = 0; first < size; first += product::kTileColumns) {
    product::pack_panel(matrix, transposed ? 1 : size, transposed ? size : 1, size, size, first,
                        product::kTileColumns, panels + first * size);
  }
}

/// rows [count, size] = rows times the packed square matrix, in place.
void MultiplyInPlace(float* rows, std::int64_t count, std::int64_t size, const float* panels,
                     float* copy) {
  for (std::int64_t begin = 0; begin < count; begin += product::kTileRows) {
    const std::int64_t height = std::min<std::int64_t>(product::kTileRows, count - begin);
    float* tile = rows + begin * size;
    std::memcpy(copy, tile, static_cast<std::size_t>(height * size) * sizeof(float));
    for (std::int64_t first = 0; first < size; first += product::kTileColumns) {
      product::multiply(height, size, {.data = copy, .row_stride = size},
                        {.data = panels + first * size, .stride = product::kTileColumns},
                        {.data = tile + first,
                         .stride = size,
                         .columns = std::min(product::kTileColumns, size - first)});
    }
  }
}

/// Rows [row_begin, row_end) of gradient [size, size] (+)= membership^T right, both [tokens, size],
/// in the columns of the panel that begins at `first_column`.
void AddOuterProducts(const float* membership, const float* right, std::int64_t tokens,
                      std::int64_t size, const GradientPiece& piece, bool add, float* gradient,
                      float* panel) {
  for (std::int64_t begin = 0; begin < tokens; begin += kOuterProductTokens) {
    const std::int64_t inner = std::min(kOuterProductTokens, tokens - begin);
    product::pack_panel(right + begin * size, size, 1, inner, size, piece.first_column,
                        product::kTileColumns, panel);
    product::multiply(piece.row_end - piece.row_begin, inner,
                      {.data = membership + begin * size + piece.row_begin,
                       .row_stride = 1,
                       .inner_stride = size},
                      {.data = panel, .stride = product::kTileColumns},
                      {.data = gradient + piece.row_begin * size + piece.first_column,
                       .stride = size,
                       .columns = std::min(product::kTileColumns, size - piece.first_column),
                       .add = add});
    add = true;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sbm::kernels::cpu {
namespace {

HWY_EXPORT(GetPanelShape);
HWY_EXPORT(PackSquare);
HWY_EXPORT(MultiplyInPlace);
HWY_EXPORT(AddOuterProducts);

// Heights of the pieces; they decide which thread computes what, never a bit.
constexpr std::int64_t kProductRows = 192;
constexpr std::int64_t kGradientRows = 96;

struct ThreadScratch {
  AlignedBuffer<float> floats;
};

/// S of every head, packed as it stands and transposed.
class PackedBlocks {
 public:
  /// Throws std::bad_alloc.
  PackedBlocks(const MembershipGradientParams& params, std::int64_t panel_columns)
      : size_(params.clusters * round_up(params.clusters, panel_columns)) {
    float* next = panels_.reserve(static_cast<std::size_t>(2 * params.heads * size_));
    for (std::int64_t head = 0; head < params.heads; ++head) {
      const float* block = params.block_matrix + head * params.clusters * params.clusters;
      for (const bool transposed : {false, true}) {
        HWY_DYNAMIC_DISPATCH(PackSquare)(block, params.clusters, transposed, next);
        next += size_;
      }
    }
  }
  [[nodiscard]] const float* of(std::int64_t head, bool transposed) const {
    return panels_.data() + (2 * head + (transposed ? 1 : 0)) * size_;
  }

 private:
  std::int64_t size_;
  AlignedBuffer<float> panels_;
};

/// Calls work(scratch, head of [batch, heads], first token, end token) for all of `tokens`.
template <typename Work>
void for_each_row_block(Workers<ThreadScratch>& workers, std::int64_t heads, std::int64_t tokens,
                        const Work& work) {
  const std::int64_t blocks = ceil_divide(tokens, kProductRows);
  workers.for_each(heads * blocks, [&](ThreadScratch& scratch, std::int64_t piece) {
    const std::int64_t begin = piece % blocks * kProductRows;
    work(scratch, piece / blocks, begin, std::min(begin + kProductRows, tokens));
  });
}

Status check(const MembershipGradientParams& params) {
  const auto invalid = [](const char* what, const std::string& expected, std::int64_t found) {
    return Status::invalid(std::string("membership_gradients: ") + what + ": expected " + expected +
                           ", found " + std::to_string(found));
  };
  if (params.clusters < 1 || params.clusters > 256) {
    return invalid("clusters", "1 to 256", params.clusters);
  }
  for (const std::int64_t size : {params.batch, params.heads, params.queries, params.keys}) {
    if (size < 0) return invalid("batch, heads, queries and keys", "0 or more", size);
  }
  const bool has_queries = params.batch * params.heads * params.queries > 0;
  const bool has_keys = params.batch * params.heads * params.keys > 0;
  const bool complete =
      (!has_queries || (params.query_membership != nullptr && params.query_product != nullptr)) &&
      (!has_keys || params.key_product != nullptr) &&
      (params.heads == 0 || (params.block_matrix != nullptr && params.block_gradient != nullptr));
  return complete ? Status()
                  : Status::invalid("membership_gradients: expected pointers, found null");
}

void add_block_gradients(const MembershipGradientParams& params, Workers<ThreadScratch>& workers) {
  const PanelShape shape = HWY_DYNAMIC_DISPATCH(GetPanelShape)();
  const std::int64_t k = params.clusters;
  const std::int64_t panels = ceil_divide(k, shape.columns);
  const std::int64_t blocks = ceil_divide(k, kGradientRows);
  workers.for_each(params.heads * panels * blocks, [&](ThreadScratch& scratch, std::int64_t index) {
    float* panel = scratch.floats.reserve(static_cast<std::size_t>(shape.tokens * shape.columns));
    const std::int64_t head = index / (panels * blocks);
    const std::int64_t row_begin = index / panels % blocks * kGradientRows;
    const GradientPiece piece = {.row_begin = row_begin,
                                 .row_end = std::min(row_begin + kGradientRows, k),
                                 .first_column = index % panels * shape.columns};
    float* gradient = params.block_gradient + head * k * k;
    if (params.batch * params.queries == 0 && piece.first_column == 0) {
      std::fill(gradient + row_begin * k, gradient + piece.row_end * k, 0.0F);
    }
    for (std::int64_t batch = 0; batch < params.batch; ++batch) {
      const std::int64_t offset = (batch * params.heads + head) * params.queries * k;
      HWY_DYNAMIC_DISPATCH(AddOuterProducts)
      (params.query_membership + offset, params.query_product + offset, params.queries, k, piece,
       batch > 0, gradient, panel);
    }
  });
}

}  // namespace

Status membership_gradients(const MembershipGradientParams& params, Executor& executor) {
  apply_target_override();
  if (Status status = check(params); !status.ok()) return status;
  const std::int64_t k = params.clusters;
  Workers<ThreadScratch> workers(executor);
  try {
    const PanelShape shape = HWY_DYNAMIC_DISPATCH(GetPanelShape)();
    const PackedBlocks blocks(params, shape.columns);
    // T goes into dS before it gives way to dQhat.
    add_block_gradients(params, workers);
    const auto multiply = [&](float* products, std::int64_t tokens, bool transposed) {
      for_each_row_block(
          workers, params.batch * params.heads, tokens,
          [&](ThreadScratch& scratch, std::int64_t head, std::int64_t begin, std::int64_t end) {
            float* copy = scratch.floats.reserve(static_cast<std::size_t>(shape.rows * k));
            HWY_DYNAMIC_DISPATCH(MultiplyInPlace)
            (products + (head * tokens + begin) * k, end - begin, k,
             blocks.of(head % params.heads, transposed), copy);
          });
    };
    multiply(params.query_product, params.queries, true);
    multiply(params.key_product, params.keys, false);
  } catch (const std::bad_alloc&) {
    return Status::invalid("membership_gradients: out of memory for its workspace");
  }
  return workers.status("membership_gradients");
}

}  // namespace sbm::kernels::cpu
#endif  // HWY_ONCE
