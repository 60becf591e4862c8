#include <ATen/ATen.h>

#include <span>
#include <vector>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/membership_gradients.h"
#include "kernels/cpu/sampler.h"
#include "kernels/torch/arguments.h"
#include "kernels/torch/checks.h"
#include "kernels/torch/executor.h"
#include "kernels/torch/registered_kernels.h"

// The operators sbm::attention and sbm::attention_backward on CPU tensors.
namespace sbm::kernels::torch {

namespace {

// The kernels read any strides but those of the last dimension.
at::Tensor with_dense_rows(const at::Tensor& tensor) {
  return tensor.size(-1) == 1 || tensor.stride(-1) == 1 ? tensor : tensor.contiguous();
}

HeadTensor<const float> input_of(const at::Tensor& tensor) {
  return head_tensor(tensor, tensor.const_data_ptr<float>());
}

at::Tensor count_edges(const std::vector<EdgeList>& graphs, const AttentionShape& shape) {
  at::Tensor counts = at::empty({shape.batch, shape.heads, 3}, at::kLong);
  std::int64_t* next = counts.mutable_data_ptr<std::int64_t>();
  for (const EdgeList& graph : graphs) {
    *next++ = graph.drawn_edges;
    *next++ = graph.forced_edges;
    *next++ = graph.valid_cells;
  }
  return counts;
}

}  // namespace

AttentionOutputs attention_cpu(const at::Tensor& query, const at::Tensor& key,
                               const at::Tensor& value, const at::Tensor& query_membership,
                               const at::Tensor& key_membership, const at::Tensor& block_matrix,
                               const OptionalTensor& query_valid, const OptionalTensor& key_valid,
                               const at::Tensor& mask_keys, const OptionalTensor& probe_keys,
                               const OptionalTensor& dropout_keys,
                               const OptionalTensor& density_gradient, std::int64_t law,
                               std::int64_t self_loops, double exploration, std::int64_t estimator,
                               double /*clip*/, double probe_rate, double dropout,
                               std::int64_t path, double dense_from, bool /*bf16_memberships*/) {
  const AttentionSizes sizes = check_attention(
      query, key, value, query_membership, key_membership, block_matrix, query_valid, key_valid,
      mask_keys, dropout_keys, density_gradient, dropout, Precisions::kFloat);
  checked_enum("estimator", estimator, Estimator::kTrapezoid);
  check_probe_keys(sizes, probe_keys, estimator);
  const at::Tensor kept_dropout_keys = contiguous_or_undefined(dropout_keys);
  const AttentionShape shape = shape_of(sizes, dropout, kept_dropout_keys, path, dense_from);

  const at::Tensor dense_query_membership = query_membership.contiguous();
  const at::Tensor dense_key_membership = key_membership.contiguous();
  const at::Tensor dense_block_matrix = block_matrix.contiguous();
  const at::Tensor dense_query_valid = contiguous_or_undefined(query_valid);
  const at::Tensor dense_key_valid = contiguous_or_undefined(key_valid);
  const at::Tensor dense_mask_keys = mask_keys.contiguous();
  // Without probe keys the sampler neither probes nor keeps probabilities.
  const bool probes = estimator == static_cast<std::int64_t>(Estimator::kTrapezoid);
  const at::Tensor dense_probe_keys = probes ? probe_keys->contiguous() : at::Tensor();
  IntraOpExecutor executor;
  std::vector<EdgeList> graphs(static_cast<std::size_t>(shape.batch * shape.heads));
  check_status(
      "sbm::attention, sampling",
      cpu::sample_edges({.batch = shape.batch,
                         .heads = shape.heads,
                         .queries = shape.queries,
                         .keys = shape.keys,
                         .clusters = shape.clusters,
                         .query_membership = dense_query_membership.const_data_ptr<float>(),
                         .key_membership = dense_key_membership.const_data_ptr<float>(),
                         .block_matrix = dense_block_matrix.const_data_ptr<float>(),
                         .query_valid = valid_bytes(dense_query_valid),
                         .key_valid = valid_bytes(dense_key_valid),
                         .mask_keys = philox_keys(dense_mask_keys),
                         .probe_keys = probes ? philox_keys(dense_probe_keys) : nullptr,
                         .law = checked_enum("law", law, MaskLaw::kPoisson),
                         .self_loops = checked_enum("self_loops", self_loops, SelfLoops::kNone),
                         .exploration = exploration,
                         .probe_rate = probes ? probe_rate : 0.0},
                        executor, graphs));

  const at::Tensor dense_query = with_dense_rows(query);
  const at::Tensor dense_key = with_dense_rows(key);
  const at::Tensor dense_value = with_dense_rows(value);
  at::Tensor output =
      at::empty({shape.batch, shape.queries, shape.heads, shape.head_dim}, query.options());
  at::Tensor log_sum_exp = at::empty({shape.batch, shape.heads, shape.queries}, query.options());
  check_status(
      "sbm::attention",
      cpu::attention_forward({.shape = shape,
                              .query = input_of(dense_query),
                              .key = input_of(dense_key),
                              .value = input_of(dense_value),
                              .graphs = graphs,
                              .output = head_tensor(output, output.mutable_data_ptr<float>(), 2, 1),
                              .log_sum_exp = log_sum_exp.mutable_data_ptr<float>()},
                             executor));
  at::Tensor counts = count_edges(graphs, shape);
  return {output, counts, log_sum_exp, c10::make_intrusive<SampledGraphs>(std::move(graphs))};
}

AttentionGradients attention_backward_cpu(
    const at::Tensor& grad_output, const at::Tensor& query, const at::Tensor& key,
    const at::Tensor& value, const at::Tensor& query_membership, const at::Tensor& key_membership,
    const at::Tensor& block_matrix, const at::Tensor& output, const at::Tensor& log_sum_exp,
    const SampledGraphsHandle& graphs, const OptionalTensor& dropout_keys,
    const OptionalTensor& density_gradient, std::int64_t estimator, double clip, double probe_rate,
    double dropout, std::int64_t path, double dense_from, bool bf16_memberships) {
  const AttentionSizes sizes = check_attention_backward(
      grad_output, query, key, value, query_membership, key_membership, block_matrix, output,
      log_sum_exp, dropout_keys, density_gradient, dropout, Precisions::kFloat);
  TORCH_CHECK(graphs->device_graphs() == nullptr,
              "graphs: expected those that sbm::attention sampled on the CPU, found a GPU's");
  const at::Tensor kept_dropout_keys = contiguous_or_undefined(dropout_keys);
  const at::Tensor density = contiguous_or_undefined(density_gradient);
  const AttentionShape shape = shape_of(sizes, dropout, kept_dropout_keys, path, dense_from);

  const at::Tensor dense_query = with_dense_rows(query);
  const at::Tensor dense_key = with_dense_rows(key);
  const at::Tensor dense_value = with_dense_rows(value);
  const at::Tensor dense_query_membership = query_membership.contiguous();
  const at::Tensor dense_key_membership = key_membership.contiguous();
  const at::Tensor dense_output = with_dense_rows(output);
  const at::Tensor dense_grad_output = with_dense_rows(grad_output);
  const at::Tensor dense_log_sum_exp = log_sum_exp.contiguous();

  at::Tensor grad_query = gradient_like(query);
  at::Tensor grad_key = gradient_like(key);
  at::Tensor grad_value = gradient_like(value);
  at::Tensor query_product =
      at::empty({shape.batch, shape.heads, shape.queries, shape.clusters}, query.options());
  at::Tensor key_product =
      at::empty({shape.batch, shape.heads, shape.keys, shape.clusters}, query.options());
  IntraOpExecutor executor;
  check_status(
      "sbm::attention_backward",
      cpu::attention_backward(
          {.shape = shape,
           .estimator = {.estimator = checked_enum("estimator", estimator, Estimator::kTrapezoid),
                         .clip = static_cast<float>(clip),
                         .density_gradient =
                             density.defined() ? density.const_data_ptr<float>() : nullptr,
                         .probe_rate = probe_rate},
           .query = input_of(dense_query),
           .key = input_of(dense_key),
           .value = input_of(dense_value),
           .graphs = graphs->graphs(),
           .output = head_tensor(dense_output, dense_output.const_data_ptr<float>(), 2, 1),
           .log_sum_exp = dense_log_sum_exp.const_data_ptr<float>(),
           .grad_output =
               head_tensor(dense_grad_output, dense_grad_output.const_data_ptr<float>(), 2, 1),
           .query_membership = dense_query_membership.const_data_ptr<float>(),
           .key_membership = dense_key_membership.const_data_ptr<float>(),
           .bf16_memberships = bf16_memberships,
           .grad_query = head_tensor(grad_query, grad_query.mutable_data_ptr<float>()),
           .grad_key = head_tensor(grad_key, grad_key.mutable_data_ptr<float>()),
           .grad_value = head_tensor(grad_value, grad_value.mutable_data_ptr<float>()),
           .query_product = query_product.mutable_data_ptr<float>(),
           .key_product = key_product.mutable_data_ptr<float>()},
          executor));
  const at::Tensor dense_block_matrix = block_matrix.contiguous();
  at::Tensor grad_block_matrix = at::empty_like(dense_block_matrix, at::MemoryFormat::Contiguous);
  check_status(
      "sbm::attention_backward, memberships",
      cpu::membership_gradients({.batch = shape.batch,
                                 .heads = shape.heads,
                                 .queries = shape.queries,
                                 .keys = shape.keys,
                                 .clusters = shape.clusters,
                                 .query_membership = dense_query_membership.const_data_ptr<float>(),
                                 .block_matrix = dense_block_matrix.const_data_ptr<float>(),
                                 .query_product = query_product.mutable_data_ptr<float>(),
                                 .key_product = key_product.mutable_data_ptr<float>(),
                                 .block_gradient = grad_block_matrix.mutable_data_ptr<float>(),
                                 .bf16 = bf16_memberships},
                                executor));
  return {grad_query, grad_key, grad_value, query_product, key_product, grad_block_matrix};
}

}  // namespace sbm::kernels::torch
