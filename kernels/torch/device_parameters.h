#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "kernels/attention.h"
#include "kernels/cuda/attention.h"
#include "kernels/cuda/sampling.h"
#include "kernels/torch/device_graphs.h"
#include "kernels/torch/sampled_graphs.h"

// From the tensors of an operator to the parameters of kernels/cuda, as far as the CPU has nothing
// like them.
namespace sbm::kernels::torch {

/// Which form the graphs of a call may take, and what room the lists get. It follows from shapes
/// and options alone: the host does not know how many edges there will be.
struct GraphPlan {
  cuda::PathPlan path;
  std::int64_t edge_capacity = 0;   ///< as in GraphSizes
  std::int64_t probe_capacity = 0;  ///< as in GraphSizes
  bool probe_mask = false;
};

/// Share of the cells that the lists of SPARSE have room for. A graph with more edges takes the
/// dense path.
inline constexpr double kListedDensity = 0.25;

/// AUTO: lists for graphs that are expected to stay below shape.dense_from (0: cuda::kSparseBelow);
/// none with TRAPEZOID where probes alone are that many cells. SPARSE: lists for kListedDensity.
/// DENSE: no lists.
GraphPlan plan_graphs(const AttentionShape& shape, Estimator estimator, double probe_rate);

/// The head size of the kernels that serve `head_dim`: 32, 64 or 128. Rows are filled up with
/// zeros, which change neither scores nor the output. Throws c10::Error unless 1 to 128.
std::int64_t kernel_head_dim(std::int64_t head_dim);

/// Throws c10::Error unless `tensor` is Float or BFloat16.
cuda::Precision precision_of(const at::Tensor& tensor);

/// [.., .., .., head_dim] with rows that kernels load 16 bytes at a time: the tensor itself where
/// it is so, else a copy.
at::Tensor kernel_rows(const at::Tensor& tensor, std::int64_t head_dim);

/// Where kernels write the gradient of `input` (in [batch, heads, tokens, head_dim]), and the
/// gradient itself once they have: of the input's own head size, in the input's layout.
at::Tensor kernel_gradient_like(const at::Tensor& input, std::int64_t head_dim);
at::Tensor gradient_of(const at::Tensor& kernel_gradient, const at::Tensor& input);

/// Uninitialised bytes beside `like`, aligned for every kernel.
at::Tensor device_bytes(std::int64_t bytes, const at::Tensor& like);

/// Where sampling writes the graphs. `edge_counts` is int64 [graphs, 3].
cuda::SampledGraphs destination_in(const DeviceGraphs& graphs, at::Tensor& edge_counts);

/// What attention reads of them.
cuda::EdgeGraphs edge_graphs(const DeviceGraphs& graphs);
cuda::DenseGraphs dense_graphs(const DeviceGraphs& graphs);

/// The graphs of the forward of this call. Throws c10::Error when they were sampled on another
/// device or are of other sizes.
const DeviceGraphs& device_graphs_of(const SampledGraphs& graphs, const AttentionShape& shape,
                                     at::Device device);

}  // namespace sbm::kernels::torch
