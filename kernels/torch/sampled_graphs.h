#pragma once

#include <ATen/core/Tensor.h>
#include <torch/custom_class.h>

#include <cstdint>
#include <vector>

#include "kernels/edge_list.h"

namespace sbm::kernels::torch {

/// The sampled graphs of one attention call, in the order [batch, heads], as the dispatcher hands
/// them around: __torch__.torch.classes.sbm.SampledGraphs. The forward gives them to the backward
/// without a copy. From Meta tensors there is nothing to sample, so they hold no graph.
class SampledGraphs final : public ::torch::CustomClassHolder {
 public:
  explicit SampledGraphs(std::vector<EdgeList> graphs) : graphs_(std::move(graphs)) {}

  [[nodiscard]] const std::vector<EdgeList>& graphs() const { return graphs_; }
  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(graphs_.size()); }

  /// A copy of one graph's rows, int64 [queries + 1], and columns, int32 [edges] (see EdgeList).
  /// Throws c10::IndexError when there is no such graph.
  [[nodiscard]] at::Tensor row_offsets(std::int64_t graph) const;
  [[nodiscard]] at::Tensor columns(std::int64_t graph) const;

 private:
  [[nodiscard]] const EdgeList& at(std::int64_t graph) const;

  std::vector<EdgeList> graphs_;
};

}  // namespace sbm::kernels::torch
