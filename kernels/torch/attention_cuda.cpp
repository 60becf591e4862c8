#include "kernels/torch/attention_cuda.h"

#include <ATen/ATen.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <memory>
#include <utility>

#include "kernels/cuda/attention.h"
#include "kernels/torch/arguments.h"
#include "kernels/torch/checks.h"
#include "kernels/torch/device_parameters.h"

// sbm::attention on a GPU: sampling, then attention along what was sampled.
namespace sbm::kernels::torch {

namespace {

// What every tensor of a call must share with `query`.
void check_devices(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                   const at::Tensor& query_membership, const at::Tensor& key_membership,
                   const at::Tensor& block_matrix, const OptionalTensor& dropout_keys,
                   const OptionalTensor& density_gradient) {
  const at::Device device = query.device();
  check_device("key", key, device);
  check_device("value", value, device);
  check_device("query_membership", query_membership, device);
  check_device("key_membership", key_membership, device);
  check_device("block_matrix", block_matrix, device);
  check_device("dropout_keys", dropout_keys, device);
  check_device("density_gradient", density_gradient, device);
}

// Draws the graphs and counts their edges.
std::shared_ptr<const DeviceGraphs> sample(CUstream_st* stream, const cuda::PathPlan& path,
                                           const SamplingParams& params, DeviceGraphs graphs,
                                           at::Tensor& edge_counts) {
  const at::Tensor workspace =
      device_bytes(static_cast<std::int64_t>(cuda::sampling_workspace_bytes(params)), edge_counts);
  check_status("sbm::attention, sampling",
               cuda::sample_graphs(params, path, destination_in(graphs, edge_counts),
                                   workspace.mutable_data_ptr(),
                                   static_cast<std::size_t>(workspace.numel()), stream));
  if (edge_counts.numel() > 0) {
    const Region& flags = graphs.layout.invalid_values;
    edge_counts.masked_fill_(graphs.memory.narrow(0, flags.offset, flags.bytes).ne(0).any(), -1);
  }
  return std::make_shared<const DeviceGraphs>(std::move(graphs));
}

void refuse_bf16_memberships(bool bf16_memberships) {
  TORCH_CHECK(!bf16_memberships,
              "bf16_memberships: expected false on a GPU, whose products with memberships are in ",
              "float, found true");
}

}  // namespace

AttentionOutputs attention_on_stream(
    CUstream_st* stream, const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
    const at::Tensor& query_membership, const at::Tensor& key_membership,
    const at::Tensor& block_matrix, const OptionalTensor& query_valid,
    const OptionalTensor& key_valid, const at::Tensor& mask_keys, const OptionalTensor& probe_keys,
    const OptionalTensor& dropout_keys, const OptionalTensor& density_gradient, std::int64_t law,
    std::int64_t self_loops, double exploration, std::int64_t estimator, double /*clip*/,
    double probe_rate, double dropout, std::int64_t path, double dense_from,
    bool bf16_memberships) {
  refuse_bf16_memberships(bf16_memberships);
  const AttentionSizes sizes = check_attention(
      query, key, value, query_membership, key_membership, block_matrix, query_valid, key_valid,
      mask_keys, dropout_keys, density_gradient, dropout, Precisions::kFloatOrBfloat16);
  check_probe_keys(sizes, probe_keys, estimator);
  check_devices(query, key, value, query_membership, key_membership, block_matrix, dropout_keys,
                density_gradient);
  check_device("query_valid", query_valid, query.device());
  check_device("key_valid", key_valid, query.device());
  check_device("mask_keys", mask_keys, query.device());
  const auto chosen = checked_enum("estimator", estimator, Estimator::kTrapezoid);
  const bool probes = chosen == Estimator::kTrapezoid;
  if (probes) check_device("probe_keys", probe_keys, query.device());

  const at::Tensor kept_dropout_keys = contiguous_or_undefined(dropout_keys);
  AttentionShape shape = shape_of(sizes, dropout, kept_dropout_keys, path, dense_from);
  const GraphPlan plan = plan_graphs(shape, chosen, probe_rate);
  DeviceGraphs graphs;
  graphs.layout = lay_out_graphs({.graphs = shape.batch * shape.heads,
                                  .queries = shape.queries,
                                  .keys = shape.keys,
                                  .clusters = shape.clusters,
                                  .edge_capacity = plan.edge_capacity,
                                  .probe_capacity = plan.probe_capacity,
                                  .probe_mask = plan.probe_mask,
                                  .probabilities = probes});
  graphs.memory = device_bytes(graphs.layout.bytes, query);
  graphs.query_valid = contiguous_or_undefined(query_valid);
  graphs.key_valid = contiguous_or_undefined(key_valid);
  graphs.law = checked_enum("law", law, MaskLaw::kPoisson);
  graphs.self_loops = checked_enum("self_loops", self_loops, SelfLoops::kNone);
  graphs.exploration = exploration;

  const at::Tensor dense_query_membership = query_membership.contiguous();
  const at::Tensor dense_key_membership = key_membership.contiguous();
  const at::Tensor dense_block_matrix = block_matrix.contiguous();
  const at::Tensor dense_mask_keys = mask_keys.contiguous();
  const at::Tensor dense_probe_keys = probes ? probe_keys->contiguous() : at::Tensor();
  at::Tensor edge_counts =
      at::empty({shape.batch, shape.heads, 3}, query.options().dtype(at::kLong));
  const SamplingParams sampling = {
      .batch = shape.batch,
      .heads = shape.heads,
      .queries = shape.queries,
      .keys = shape.keys,
      .clusters = shape.clusters,
      .query_membership = dense_query_membership.const_data_ptr<float>(),
      .key_membership = dense_key_membership.const_data_ptr<float>(),
      .block_matrix = dense_block_matrix.const_data_ptr<float>(),
      .query_valid = valid_bytes(graphs.query_valid),
      .key_valid = valid_bytes(graphs.key_valid),
      .mask_keys = philox_keys(dense_mask_keys),
      .probe_keys = probes ? philox_keys(dense_probe_keys) : nullptr,
      .law = graphs.law,
      .self_loops = graphs.self_loops,
      .exploration = exploration,
      .probe_rate = probes ? probe_rate : 0.0};
  const auto sampled = sample(stream, plan.path, sampling, std::move(graphs), edge_counts);

  const std::int64_t head_dim = shape.head_dim;
  shape.head_dim = kernel_head_dim(head_dim);
  const at::Tensor rows_of_query = kernel_rows(query, shape.head_dim);
  const at::Tensor rows_of_key = kernel_rows(key, shape.head_dim);
  const at::Tensor rows_of_value = kernel_rows(value, shape.head_dim);
  at::Tensor output =
      at::empty({shape.batch, shape.queries, shape.heads, shape.head_dim}, query.options());
  at::Tensor log_sum_exp =
      at::empty({shape.batch, shape.heads, shape.queries}, query.options().dtype(at::kFloat));
  check_status(
      "sbm::attention",
      cuda::attention_forward({.shape = shape,
                               .precision = precision_of(query),
                               .query = head_tensor(rows_of_query, rows_of_query.const_data_ptr()),
                               .key = head_tensor(rows_of_key, rows_of_key.const_data_ptr()),
                               .value = head_tensor(rows_of_value, rows_of_value.const_data_ptr()),
                               .edges = edge_graphs(*sampled),
                               .dense = dense_graphs(*sampled),
                               .output = head_tensor(output, output.mutable_data_ptr(), 2, 1),
                               .log_sum_exp = log_sum_exp.mutable_data_ptr<float>()},
                              stream));
  if (shape.head_dim != head_dim) output = output.narrow(3, 0, head_dim).contiguous();
  return {output, edge_counts, log_sum_exp, c10::make_intrusive<SampledGraphs>(sampled)};
}

AttentionGradients attention_backward_on_stream(
    CUstream_st* stream, const at::Tensor& grad_output, const at::Tensor& query,
    const at::Tensor& key, const at::Tensor& value, const at::Tensor& query_membership,
    const at::Tensor& key_membership, const at::Tensor& block_matrix, const at::Tensor& output,
    const at::Tensor& log_sum_exp, const SampledGraphsHandle& graphs,
    const OptionalTensor& dropout_keys, const OptionalTensor& density_gradient,
    std::int64_t estimator, double clip, double probe_rate, double dropout, std::int64_t path,
    double dense_from, bool bf16_memberships) {
  refuse_bf16_memberships(bf16_memberships);
  const AttentionSizes sizes = check_attention_backward(
      grad_output, query, key, value, query_membership, key_membership, block_matrix, output,
      log_sum_exp, dropout_keys, density_gradient, dropout, Precisions::kFloatOrBfloat16);
  check_devices(query, key, value, query_membership, key_membership, block_matrix, dropout_keys,
                density_gradient);
  check_device("grad_output", grad_output, query.device());
  check_device("output", output, query.device());
  check_device("log_sum_exp", log_sum_exp, query.device());
  const at::Tensor kept_dropout_keys = contiguous_or_undefined(dropout_keys);
  const at::Tensor density = contiguous_or_undefined(density_gradient);
  AttentionShape shape = shape_of(sizes, dropout, kept_dropout_keys, path, dense_from);
  const DeviceGraphs& sampled = device_graphs_of(*graphs, shape, query.device());

  const cuda::Precision precision = precision_of(query);
  const std::int64_t head_dim = shape.head_dim;
  shape.head_dim = kernel_head_dim(head_dim);
  const at::Tensor rows_of_query = kernel_rows(query, shape.head_dim);
  const at::Tensor rows_of_key = kernel_rows(key, shape.head_dim);
  const at::Tensor rows_of_value = kernel_rows(value, shape.head_dim);
  const at::Tensor rows_of_output = kernel_rows(output, shape.head_dim);
  const at::Tensor rows_of_grad_output = kernel_rows(grad_output, shape.head_dim);
  const at::Tensor dense_query_membership = query_membership.contiguous();
  const at::Tensor dense_key_membership = key_membership.contiguous();
  const at::Tensor dense_log_sum_exp = log_sum_exp.contiguous();

  at::Tensor grad_query = kernel_gradient_like(query, shape.head_dim);
  at::Tensor grad_key = kernel_gradient_like(key, shape.head_dim);
  at::Tensor grad_value = kernel_gradient_like(value, shape.head_dim);
  const at::TensorOptions floats = query.options().dtype(at::kFloat);
  at::Tensor query_product =
      at::empty({shape.batch, shape.heads, shape.queries, shape.clusters}, floats);
  at::Tensor key_product =
      at::empty({shape.batch, shape.heads, shape.keys, shape.clusters}, floats);
  const at::Tensor delta =
      device_bytes(static_cast<std::int64_t>(cuda::attention_delta_bytes(shape)), query);
  const at::Tensor workspace = device_bytes(
      static_cast<std::int64_t>(cuda::attention_dense_workspace_bytes(shape, precision)), query);
  check_status(
      "sbm::attention_backward",
      cuda::attention_backward(
          {.shape = shape,
           .precision = precision,
           .estimator = {.estimator = checked_enum("estimator", estimator, Estimator::kTrapezoid),
                         .clip = static_cast<float>(clip),
                         .density_gradient =
                             density.defined() ? density.const_data_ptr<float>() : nullptr,
                         .probe_rate = probe_rate},
           .query = head_tensor(rows_of_query, rows_of_query.const_data_ptr()),
           .key = head_tensor(rows_of_key, rows_of_key.const_data_ptr()),
           .value = head_tensor(rows_of_value, rows_of_value.const_data_ptr()),
           .edges = edge_graphs(sampled),
           .dense = dense_graphs(sampled),
           .output = head_tensor(rows_of_output, rows_of_output.const_data_ptr(), 2, 1),
           .log_sum_exp = dense_log_sum_exp.const_data_ptr<float>(),
           .grad_output =
               head_tensor(rows_of_grad_output, rows_of_grad_output.const_data_ptr(), 2, 1),
           .query_membership = dense_query_membership.const_data_ptr<float>(),
           .key_membership = dense_key_membership.const_data_ptr<float>(),
           .grad_query = head_tensor(grad_query, grad_query.mutable_data_ptr()),
           .grad_key = head_tensor(grad_key, grad_key.mutable_data_ptr()),
           .grad_value = head_tensor(grad_value, grad_value.mutable_data_ptr()),
           .query_product = query_product.mutable_data_ptr<float>(),
           .key_product = key_product.mutable_data_ptr<float>(),
           .delta = static_cast<float*>(delta.mutable_data_ptr()),
           .dense_workspace = workspace.mutable_data_ptr()},
          stream));
  // Autocast would compute these in its own type.
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  at::Tensor grad_query_membership = at::matmul(query_product, block_matrix.transpose(1, 2));
  at::Tensor grad_key_membership = at::matmul(key_product, block_matrix);
  at::Tensor grad_block_matrix =
      at::matmul(dense_query_membership.transpose(2, 3), query_product).sum(0);
  return {
      gradient_of(grad_query, query), gradient_of(grad_key, key), gradient_of(grad_value, value),
      grad_query_membership,          grad_key_membership,        grad_block_matrix};
}

}  // namespace sbm::kernels::torch
