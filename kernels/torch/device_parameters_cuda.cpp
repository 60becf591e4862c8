#include <ATen/ATen.h>

#include <algorithm>

#include "kernels/torch/checks.h"
#include "kernels/torch/device_parameters.h"

namespace sbm::kernels::torch {

namespace {

constexpr std::int64_t kRowAlignment = 16;  // bytes

bool loads_in_rows(const at::Tensor& tensor) {
  const std::int64_t elements = kRowAlignment / tensor.element_size();
  const auto address = reinterpret_cast<std::uintptr_t>(tensor.const_data_ptr());
  if (tensor.stride(-1) != 1 || address % kRowAlignment != 0) return false;
  for (std::int64_t dimension = 0; dimension + 1 < tensor.dim(); ++dimension) {
    if (tensor.size(dimension) > 1 && tensor.stride(dimension) % elements != 0) return false;
  }
  return true;
}

cuda::SampledLists lists_in(const DeviceGraphs& graphs, const ListLayout& lists) {
  return {.capacity = lists.capacity,
          .row_offsets = graphs.data<std::uint32_t>(lists.row_offsets),
          .columns = graphs.data<std::uint16_t>(lists.columns),
          .column_offsets = graphs.data<std::uint32_t>(lists.column_offsets),
          .rows = graphs.data<std::uint16_t>(lists.rows),
          .row_gates = graphs.data<float>(lists.row_gates),
          .column_gates = graphs.data<float>(lists.column_gates),
          .row_probabilities = graphs.data<float>(lists.row_probabilities),
          .column_probabilities = graphs.data<float>(lists.column_probabilities)};
}

cuda::CellList rows_of(const cuda::SampledLists& lists) {
  return {.offsets = lists.row_offsets,
          .others = lists.columns,
          .gates = lists.row_gates,
          .probabilities = lists.row_probabilities,
          .capacity = lists.capacity};
}

cuda::CellList columns_of(const cuda::SampledLists& lists) {
  return {.offsets = lists.column_offsets,
          .others = lists.rows,
          .gates = lists.column_gates,
          .probabilities = lists.column_probabilities,
          .capacity = lists.capacity};
}

}  // namespace

GraphPlan plan_graphs(const AttentionShape& shape, Estimator estimator, double probe_rate) {
  const bool probes = estimator == Estimator::kTrapezoid && probe_rate > 0.0;
  GraphPlan plan;
  plan.path.path = shape.path;
  plan.path.sparse_below = shape.dense_from > 0.0 ? shape.dense_from : cuda::kSparseBelow;
  plan.probe_mask = probes && probe_rate < 1.0;
  double listed_density = kListedDensity;
  if (shape.path == AttentionPath::kAuto) {
    // Every probe costs what an edge does.
    if (probes && probe_rate >= plan.path.sparse_below) plan.path.path = AttentionPath::kDense;
    listed_density = plan.path.sparse_below;
  }
  if (plan.path.path == AttentionPath::kDense) return plan;
  plan.edge_capacity =
      cuda::list_capacity(shape.queries, shape.keys, std::min(listed_density, 1.0));
  if (probes) plan.probe_capacity = cuda::list_capacity(shape.queries, shape.keys, probe_rate);
  return plan;
}

std::int64_t kernel_head_dim(std::int64_t head_dim) {
  TORCH_CHECK(head_dim >= 1 && head_dim <= 128,
              "query: expected a head_dim of 1 to 128 on a GPU, found ", head_dim);
  return head_dim <= 32 ? 32 : head_dim <= 64 ? 64 : 128;
}

cuda::Precision precision_of(const at::Tensor& tensor) {
  const at::ScalarType type = tensor.scalar_type();
  TORCH_CHECK(type == at::kFloat || type == at::kBFloat16, "expected Float or BFloat16, found ",
              type);
  return type == at::kFloat ? cuda::Precision::kFloat32 : cuda::Precision::kBfloat16;
}

at::Tensor kernel_rows(const at::Tensor& tensor, std::int64_t head_dim) {
  const std::int64_t missing = head_dim - tensor.size(-1);
  if (missing > 0) return at::constant_pad_nd(tensor, {0, missing}).contiguous();
  return loads_in_rows(tensor) ? tensor : tensor.clone(at::MemoryFormat::Contiguous);
}

at::Tensor kernel_gradient_like(const at::Tensor& input, std::int64_t head_dim) {
  if (input.size(-1) == head_dim) return gradient_like(input);
  return at::empty({input.size(0), input.size(1), input.size(2), head_dim}, input.options());
}

at::Tensor gradient_of(const at::Tensor& kernel_gradient, const at::Tensor& input) {
  if (kernel_gradient.size(-1) == input.size(-1)) return kernel_gradient;
  return gradient_like(input).copy_(kernel_gradient.narrow(-1, 0, input.size(-1)));
}

at::Tensor device_bytes(std::int64_t bytes, const at::Tensor& like) {
  return at::empty({bytes}, like.options().dtype(at::kByte));
}

cuda::SampledGraphs destination_in(const DeviceGraphs& graphs, at::Tensor& edge_counts) {
  const GraphLayout& layout = graphs.layout;
  return {.mask = graphs.data<std::uint64_t>(layout.mask),
          .probe_mask = graphs.data<std::uint64_t>(layout.probe_mask),
          .edges = lists_in(graphs, layout.edges),
          .probes = lists_in(graphs, layout.probes),
          .dense_graphs = graphs.data<std::uint32_t>(layout.dense_graphs),
          .dense_count = graphs.data<std::uint32_t>(layout.dense_count),
          .sparse_graphs = graphs.data<std::uint32_t>(layout.sparse_graphs),
          .sparse_count = graphs.data<std::uint32_t>(layout.sparse_count),
          .weights = graphs.data<cuda::EntryBytes>(layout.weights),
          .row_exponents = graphs.data<std::int32_t>(layout.row_exponents),
          .key_entries = graphs.data<cuda::EntryBytes>(layout.key_entries),
          .key_exponents = graphs.data<std::uint8_t>(layout.key_exponents),
          .edge_counts = edge_counts.mutable_data_ptr<std::int64_t>(),
          .invalid_values = graphs.data<std::uint32_t>(layout.invalid_values)};
}

cuda::EdgeGraphs edge_graphs(const DeviceGraphs& graphs) {
  const GraphLayout& layout = graphs.layout;
  if (layout.edges.capacity == 0) return {};
  const cuda::SampledLists edges = lists_in(graphs, layout.edges);
  const cuda::SampledLists probes = lists_in(graphs, layout.probes);
  return {.work = {.graphs = graphs.data<const std::uint32_t>(layout.sparse_graphs),
                   .count = graphs.data<const std::uint32_t>(layout.sparse_count)},
          .rows = rows_of(edges),
          .columns = columns_of(edges),
          .probe_rows = rows_of(probes),
          .probe_columns = columns_of(probes)};
}

cuda::DenseGraphs dense_graphs(const DeviceGraphs& graphs) {
  const GraphLayout& layout = graphs.layout;
  return {
      .work = {.graphs = graphs.data<const std::uint32_t>(layout.dense_graphs),
               .count = graphs.data<const std::uint32_t>(layout.dense_count)},
      .mask = graphs.data<const std::uint64_t>(layout.mask),
      .probe_mask = graphs.data<const std::uint64_t>(layout.probe_mask),
      .law = {.law = graphs.law,
              .self_loops = graphs.self_loops,
              .exploration = graphs.exploration,
              .weights = graphs.data<const cuda::EntryBytes>(layout.weights),
              .row_exponents = graphs.data<const std::int32_t>(layout.row_exponents),
              .key_entries = graphs.data<const cuda::EntryBytes>(layout.key_entries),
              .key_exponents = graphs.data<const std::uint8_t>(layout.key_exponents),
              .query_valid = graphs.query_valid.defined() ? static_cast<const std::uint8_t*>(
                                                                graphs.query_valid.const_data_ptr())
                                                          : nullptr,
              .key_valid = graphs.key_valid.defined()
                               ? static_cast<const std::uint8_t*>(graphs.key_valid.const_data_ptr())
                               : nullptr}};
}

const DeviceGraphs& device_graphs_of(const SampledGraphs& graphs, const AttentionShape& shape,
                                     at::Device device) {
  const DeviceGraphs* const sampled = graphs.device_graphs();
  TORCH_CHECK(sampled != nullptr && sampled->memory.device() == device,
              "graphs: expected those that sbm::attention sampled on ", device, ", found ",
              sampled != nullptr ? "ones on another device" : "none of a GPU");
  const GraphSizes& sizes = sampled->layout.sizes;
  TORCH_CHECK(sizes.graphs == shape.batch * shape.heads && sizes.queries == shape.queries &&
                  sizes.keys == shape.keys && sizes.clusters == shape.clusters,
              "graphs: expected ", shape.batch * shape.heads, " of ", shape.queries, " x ",
              shape.keys, " cells and ", shape.clusters, " clusters, found ", sizes.graphs, " of ",
              sizes.queries, " x ", sizes.keys, " and ", sizes.clusters);
  return *sampled;
}

}  // namespace sbm::kernels::torch
