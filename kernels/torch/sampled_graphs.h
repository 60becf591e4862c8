#pragma once

#include <ATen/core/Tensor.h>
#include <torch/custom_class.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/edge_list.h"
#include "kernels/torch/device_graphs.h"

namespace sbm::kernels::torch {

/// The sampled graphs of one attention call, in the order [batch, heads], as the dispatcher hands
/// them around: __torch__.torch.classes.sbm.SampledGraphs. The forward gives them to the backward
/// without a copy. On a GPU they stay in its memory. From Meta tensors there is nothing to sample,
/// so they hold no graph.
class SampledGraphs final : public ::torch::CustomClassHolder {
 public:
  explicit SampledGraphs(std::vector<EdgeList> graphs) : graphs_(std::move(graphs)) {}
  explicit SampledGraphs(std::shared_ptr<const DeviceGraphs> graphs)
      : device_graphs_(std::move(graphs)) {}

  /// Of CPU tensors; else none.
  [[nodiscard]] const std::vector<EdgeList>& graphs() const { return graphs_; }
  /// Of a GPU's tensors; else null.
  [[nodiscard]] const DeviceGraphs* device_graphs() const { return device_graphs_.get(); }
  [[nodiscard]] std::int64_t size() const;

  /// A copy of one graph's rows, int64 [queries + 1], and columns, int32 [edges] (see EdgeList), on
  /// the CPU; waits for a GPU. Throws c10::IndexError when there is no such graph.
  [[nodiscard]] at::Tensor row_offsets(std::int64_t graph) const;
  [[nodiscard]] at::Tensor columns(std::int64_t graph) const;

 private:
  void check_index(std::int64_t graph) const;

  std::vector<EdgeList> graphs_;
  std::shared_ptr<const DeviceGraphs> device_graphs_;
};

}  // namespace sbm::kernels::torch
