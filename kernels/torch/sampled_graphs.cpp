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

const EdgeList& SampledGraphs::at(std::int64_t graph) const {
  TORCH_CHECK_INDEX(graph >= 0 && graph < size(), "graph: expected 0 to ", size() - 1, ", found ",
                    graph);
  return graphs_[static_cast<std::size_t>(graph)];
}

at::Tensor SampledGraphs::row_offsets(std::int64_t graph) const {
  return copy_of(at(graph).row_offsets);
}

at::Tensor SampledGraphs::columns(std::int64_t graph) const { return copy_of(at(graph).columns); }

}  // namespace sbm::kernels::torch
