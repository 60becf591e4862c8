#include "kernels/torch/device_graphs.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <vector>

#include "base/checked.h"
#include "kernels/cuda/mask_layout.h"
#include "kernels/cuda/sampling_operands.h"

namespace sbm::kernels::torch {

namespace {

/// Gives every array its place.
class Arranger {
 public:
  template <typename T>
  Region take(std::int64_t count) {
    const Region region = {.offset = bytes_, .bytes = count * static_cast<std::int64_t>(sizeof(T))};
    bytes_ += round_up(region.bytes, kRegionAlignment);
    return region;
  }
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }

 private:
  std::int64_t bytes_ = 0;
};

ListLayout lay_out_lists(Arranger& arranger, const GraphSizes& sizes, std::int64_t capacity) {
  ListLayout lists;
  if (capacity == 0) return lists;
  const std::int64_t cells = sizes.graphs * capacity;
  lists.capacity = capacity;
  lists.row_offsets = arranger.take<std::uint32_t>(sizes.graphs * (sizes.queries + 1));
  lists.columns = arranger.take<std::uint16_t>(cells);
  lists.column_offsets = arranger.take<std::uint32_t>(sizes.graphs * (sizes.keys + 1));
  lists.rows = arranger.take<std::uint16_t>(cells);
  lists.row_gates = arranger.take<float>(cells);
  lists.column_gates = arranger.take<float>(cells);
  if (sizes.probabilities) {
    lists.row_probabilities = arranger.take<float>(cells);
    lists.column_probabilities = arranger.take<float>(cells);
  }
  return lists;
}

/// `count` elements of a region from `first` on, on the host.
template <typename T>
std::vector<T> download(const DeviceGraphs& graphs, const Region& region, std::int64_t first,
                        std::int64_t count) {
  constexpr auto kSize = static_cast<std::int64_t>(sizeof(T));
  const at::Tensor bytes =
      graphs.memory.narrow(0, region.offset + first * kSize, count * kSize).to(at::kCPU);
  const auto* values = static_cast<const T*>(bytes.const_data_ptr());
  return {values, values + count};
}

bool is_listed(const DeviceGraphs& graphs, std::int64_t graph) {
  const GraphLayout& layout = graphs.layout;
  const std::uint32_t count = download<std::uint32_t>(graphs, layout.sparse_count, 0, 1)[0];
  const auto listed = download<std::uint32_t>(graphs, layout.sparse_graphs, 0, count);
  return std::find(listed.begin(), listed.end(), static_cast<std::uint32_t>(graph)) != listed.end();
}

EdgeList edges_of_list(const DeviceGraphs& graphs, std::int64_t graph) {
  const ListLayout& lists = graphs.layout.edges;
  const std::int64_t lines = graphs.layout.sizes.queries + 1;
  const auto offsets = download<std::uint32_t>(graphs, lists.row_offsets, graph * lines, lines);
  const auto columns =
      download<std::uint16_t>(graphs, lists.columns, graph * lists.capacity, offsets.back());
  EdgeList edges;
  edges.row_offsets.assign(offsets.begin(), offsets.end());
  edges.columns.assign(columns.begin(), columns.end());
  return edges;
}

EdgeList edges_of_mask(const DeviceGraphs& graphs, std::int64_t graph) {
  const GraphSizes& sizes = graphs.layout.sizes;
  const std::int64_t words = cuda::mask_words(sizes.queries, sizes.keys);
  const auto mask = download<std::uint64_t>(graphs, graphs.layout.mask, graph * words, words);
  EdgeList edges;
  edges.row_offsets.push_back(0);
  for (std::int64_t row = 0; row < sizes.queries; ++row) {
    for (std::int64_t column = 0; column < sizes.keys; column += cuda::kMaskTile) {
      const std::int64_t word = cuda::mask_word(sizes.keys, row, column);
      std::uint64_t bits = cuda::to_natural_order(mask[static_cast<std::size_t>(word)]);
      for (; bits != 0; bits &= bits - 1) {
        edges.columns.push_back(static_cast<std::int32_t>(column + std::countr_zero(bits)));
      }
    }
    edges.row_offsets.push_back(static_cast<std::int64_t>(edges.columns.size()));
  }
  return edges;
}

}  // namespace

GraphLayout lay_out_graphs(const GraphSizes& sizes) {
  const std::int64_t units = cuda::entry_units(sizes.clusters);
  const std::int64_t words = sizes.graphs * cuda::mask_words(sizes.queries, sizes.keys);
  Arranger arranger;
  GraphLayout layout;
  layout.sizes = sizes;
  layout.mask = arranger.take<std::uint64_t>(words);
  if (sizes.probe_mask) layout.probe_mask = arranger.take<std::uint64_t>(words);
  layout.dense_graphs = arranger.take<std::uint32_t>(sizes.graphs);
  layout.dense_count = arranger.take<std::uint32_t>(1);
  layout.sparse_graphs = arranger.take<std::uint32_t>(sizes.graphs);
  layout.sparse_count = arranger.take<std::uint32_t>(1);
  layout.weights = arranger.take<cuda::EntryBytes>(sizes.graphs * sizes.queries * units);
  layout.row_exponents = arranger.take<std::int32_t>(sizes.graphs * sizes.queries);
  layout.key_entries = arranger.take<cuda::EntryBytes>(sizes.graphs * sizes.keys * units);
  layout.key_exponents = arranger.take<std::uint8_t>(sizes.graphs * sizes.keys);
  layout.invalid_values = arranger.take<std::uint32_t>(1);
  layout.edges = lay_out_lists(arranger, sizes, sizes.edge_capacity);
  layout.probes = lay_out_lists(arranger, sizes, sizes.probe_capacity);
  layout.bytes = arranger.bytes();
  return layout;
}

EdgeList DeviceGraphs::download_edges(std::int64_t graph) const {
  return is_listed(*this, graph) ? edges_of_list(*this, graph) : edges_of_mask(*this, graph);
}

}  // namespace sbm::kernels::torch
