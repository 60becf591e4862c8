#include "kernels/torch/sampled_graphs.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace sbm::kernels::torch {

namespace {

template <typename T>
at::Tensor copy_of(const std::vector<T>& values) {
  at::Tensor tensor =
      at::empty({static_cast<std::int64_t>(values.size())}, at::CppTypeToScalarType<T>::value);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<T>());
  return tensor;
}

}  // namespace

std::int64_t SampledGraphs::size() const {
  return device_graphs_ ? device_graphs_->layout.sizes.graphs
                        : static_cast<std::int64_t>(graphs_.size());
}

void SampledGraphs::check_index(std::int64_t graph) const {
  TORCH_CHECK_INDEX(graph >= 0 && graph < size(), "graph: expected 0 to ", size() - 1, ", found ",
                    graph);
}

at::Tensor SampledGraphs::row_offsets(std::int64_t graph) const {
  check_index(graph);
  if (device_graphs_) return copy_of(device_graphs_->download_edges(graph).row_offsets);
  return copy_of(graphs_[static_cast<std::size_t>(graph)].row_offsets);
}

at::Tensor SampledGraphs::columns(std::int64_t graph) const {
  check_index(graph);
  if (device_graphs_) return copy_of(device_graphs_->download_edges(graph).columns);
  return copy_of(graphs_[static_cast<std::size_t>(graph)].columns);
}

}  // namespace sbm::kernels::torch
