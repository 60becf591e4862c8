#include "kernels/cpu/attention_dense.h"

#include <algorithm>

#include "base/checked.h"

namespace sbm::kernels::cpu {
namespace {

/// [dim, kDenseKeys] for each block of keys, from rows of keys.
void pack_transposed(Rows rows, std::int64_t count, std::int64_t dim, float* panels) {
  std::fill_n(panels, round_up(count, kDenseKeys) * dim, 0.0F);
  for (std::int64_t j = 0; j < count; ++j) {
    float* panel = panels + j / kDenseKeys * kDenseKeys * dim + j % kDenseKeys;
    for (std::int64_t c = 0; c < dim; ++c) panel[c * kDenseKeys] = rows[j][c];
  }
}

}  // namespace

void DenseHead::prepare(const EdgeList& graph, std::int64_t keys, std::int64_t dim, Rows key,
                        Rows value) {
  panels_ = ceil_divide(keys, kDenseKeys);
  panel_size_ = dim * kDenseKeys;
  const auto packed = static_cast<std::size_t>(panels_ * panel_size_);
  pack_transposed(key, keys, dim, keys_packed_.reserve(packed));
  if (value.data != nullptr) pack_transposed(value, keys, dim, values_packed_.reserve(packed));

  const std::int64_t rows = std::ssize(graph.row_offsets) - 1;
  const auto words = static_cast<std::size_t>(rows * panels_);
  std::uint64_t* edges = edges_.reserve(words);
  std::int64_t* first_edges = first_edges_.reserve(words);
  std::fill_n(edges, words, 0);
  const std::int32_t* columns = graph.columns.data();
  for (std::int64_t i = 0; i < rows; ++i, edges += panels_, first_edges += panels_) {
    std::int64_t e = graph.row_offsets.data()[i];
    const std::int64_t end = graph.row_offsets.data()[i + 1];
    for (std::int64_t panel = 0; panel < panels_; ++panel) {
      first_edges[panel] = e;
      const std::int64_t last_key = (panel + 1) * kDenseKeys;
      std::uint64_t word = 0;
      for (; e < end && columns[e] < last_key; ++e) word |= std::uint64_t{1} << (columns[e] & 63);
      edges[panel] = word;
    }
  }
}

}  // namespace sbm::kernels::cpu
