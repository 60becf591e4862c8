#include "kernels/cpu/membership_gradients.h"

#include <algorithm>
#include <new>
#include <string>

#include "base/checked.h"
#include "kernels/cpu/membership_products.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/target.h"
#include "kernels/cpu/workers.h"

namespace sbm::kernels::cpu {
namespace {

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
  explicit PackedBlocks(const MembershipGradientParams& params)
      : size_(packed_square_size(params.clusters)) {
    float* next = panels_.reserve(static_cast<std::size_t>(2 * params.heads * size_));
    for (std::int64_t head = 0; head < params.heads; ++head) {
      const float* block = params.block_matrix + head * params.clusters * params.clusters;
      for (const bool transposed : {false, true}) {
        pack_square(block, params.clusters, transposed, params.bf16, next);
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
  const std::int64_t k = params.clusters;
  const std::int64_t columns = gradient_columns();
  const std::int64_t panels = ceil_divide(k, columns);
  const std::int64_t blocks = ceil_divide(k, kGradientRows);
  workers.for_each(params.heads * panels * blocks, [&](ThreadScratch& scratch, std::int64_t index) {
    float* panel =
        scratch.floats.reserve(static_cast<std::size_t>(gradient_panels_size(kGradientRows)));
    const std::int64_t head = index / (panels * blocks);
    const std::int64_t row_begin = index / panels % blocks * kGradientRows;
    const GradientPiece piece = {.row_begin = row_begin,
                                 .row_end = std::min(row_begin + kGradientRows, k),
                                 .first_column = index % panels * columns};
    float* gradient = params.block_gradient + head * k * k;
    if (params.batch * params.queries == 0 && piece.first_column == 0) {
      std::fill(gradient + row_begin * k, gradient + piece.row_end * k, 0.0F);
    }
    for (std::int64_t batch = 0; batch < params.batch; ++batch) {
      const std::int64_t offset = (batch * params.heads + head) * params.queries * k;
      add_outer_products(params.query_membership + offset, params.query_product + offset,
                         params.queries, k, piece, batch > 0, params.bf16, gradient, panel);
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
    const PackedBlocks blocks(params);
    // T goes into dS before it gives way to dQhat.
    add_block_gradients(params, workers);
    const auto multiply = [&](float* products, std::int64_t tokens, bool transposed) {
      for_each_row_block(
          workers, params.batch * params.heads, tokens,
          [&](ThreadScratch& scratch, std::int64_t head, std::int64_t begin, std::int64_t end) {
            float* copy = scratch.floats.reserve(
                static_cast<std::size_t>(product_rows() * packed_row_size(k)));
            multiply_in_place(products + (head * tokens + begin) * k, end - begin, k,
                              blocks.of(head % params.heads, transposed), params.bf16, copy);
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
