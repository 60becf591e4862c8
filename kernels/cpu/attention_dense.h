#pragma once

#include <cstdint>

#include "kernels/cpu/attention_call.h"
#include "kernels/cpu/scratch.h"

// Attention of a head most of whose cells are edges: whole tiles of cells by matrix products, the
// others masked away. The same sums as along the edges, in another order.
namespace sbm::kernels::cpu {

/// Keys of a tile: the bits of a word.
inline constexpr std::int64_t kDenseKeys = 64;
/// Rows of a tile: whole register tiles.
inline constexpr std::int64_t kDenseRows = 48;

/// The keys' side of a dense head, packed, and where each tile's edges are.
class DenseHead {
 public:
  /// Lays out the edges of `graph`; packs `key` and, for the backward, `value` (data not null):
  /// [keys, dim]. Throws std::bad_alloc.
  void prepare(const EdgeList& graph, std::int64_t keys, std::int64_t dim, Rows key, Rows value);

  [[nodiscard]] std::int64_t panels() const { return panels_; }
  /// K^T of a block of keys [padded_dim, kDenseKeys], zeros beyond the last key.
  [[nodiscard]] const float* key_panel(std::int64_t panel) const {
    return keys_packed_.data() + panel * panel_size_;
  }
  [[nodiscard]] const float* value_panel(std::int64_t panel) const {
    return values_packed_.data() + panel * panel_size_;
  }
  /// Which keys of the panel the row has edges to.
  [[nodiscard]] std::uint64_t edges(std::int64_t row, std::int64_t panel) const {
    return edges_.data()[row * panels_ + panel];
  }
  /// The first edge of the row in the panel.
  [[nodiscard]] std::int64_t first_edge(std::int64_t row, std::int64_t panel) const {
    return first_edges_.data()[row * panels_ + panel];
  }

 private:
  std::int64_t panels_ = 0;
  std::int64_t panel_size_ = 0;
  AlignedBuffer<float> keys_packed_;
  AlignedBuffer<float> values_packed_;
  AlignedBuffer<std::uint64_t> edges_;
  AlignedBuffer<std::int64_t> first_edges_;
};

/// What one block of rows is worked on in.
class DenseScratch {
 public:
  /// Throws std::bad_alloc.
  void reserve(std::int64_t padded_dim, std::int64_t panels) {
    const auto rows = static_cast<std::size_t>(kDenseRows);
    query_.reserve(rows * static_cast<std::size_t>(padded_dim));
    output_.reserve(rows * static_cast<std::size_t>(padded_dim));
    scores_.reserve(rows * static_cast<std::size_t>(panels * kDenseKeys));
    for (AlignedBuffer<float>& tile : tiles_) tile.reserve(rows * kDenseKeys);
  }
  [[nodiscard]] float* query() const { return query_.data(); }
  [[nodiscard]] float* output() const { return output_.data(); }
  [[nodiscard]] float* scores() const { return scores_.data(); }  ///< [kDenseRows, all keys]
  [[nodiscard]] float* tile(int i) const { return tiles_[i].data(); }

  static constexpr int kTiles = 5;

 private:
  AlignedBuffer<float> query_;
  AlignedBuffer<float> output_;
  AlignedBuffer<float> scores_;
  AlignedBuffer<float> tiles_[kTiles];
};

/// Output and log-sum-exp of rows [first, last), at most kDenseRows.
void dense_forward(const ForwardHead& head, const DenseHead& dense, std::int64_t first,
                   std::int64_t last, const DenseScratch& scratch);

/// dQ and T of rows [first, last), at most kDenseRows; written whole. `output_gains` [queries] gets
/// dO . O of the rows.
void dense_backward_rows(const BackwardHead& head, const DenseHead& dense, std::int64_t first,
                         std::int64_t last, float* output_gains, const DenseScratch& scratch);

/// dK, dV and R of a panel; written whole. `output_gains` is as dense_backward_rows() left it.
void dense_backward_keys(const BackwardHead& head, const DenseHead& dense, std::int64_t panel,
                         const float* output_gains, const DenseScratch& scratch);

}  // namespace sbm::kernels::cpu
