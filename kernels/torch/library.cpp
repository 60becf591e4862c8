#include <ATen/autocast_mode.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include "kernels/torch/attention.h"
#include "kernels/torch/operators.h"
#include "kernels/torch/registered_kernels.h"

// What torch.ops.load_library and every other user of the dispatcher finds in this library.
TORCH_LIBRARY(sbm, library) {
  using sbm::kernels::torch::SampledGraphs;
  library.class_<SampledGraphs>("SampledGraphs")
      .def("__len__", &SampledGraphs::size)
      .def("row_offsets", &SampledGraphs::row_offsets)
      .def("columns", &SampledGraphs::columns);
  library.def(
      "attention(Tensor query, Tensor key, Tensor value, Tensor query_membership, "
      "Tensor key_membership, Tensor block_matrix, Tensor? query_valid, Tensor? key_valid, "
      "Tensor mask_keys, Tensor? probe_keys, Tensor? dropout_keys, Tensor? density_gradient, int "
      "law, int self_loops, "
      "float exploration, int estimator, float clip, float probe_rate, float dropout, int path, "
      "float dense_from, bool bf16_memberships=False) -> "
      "(Tensor output, Tensor edge_counts, Tensor log_sum_exp, "
      "__torch__.torch.classes.sbm.SampledGraphs graphs)");
  library.def(
      "attention_backward(Tensor grad_output, Tensor query, Tensor key, Tensor value, "
      "Tensor query_membership, Tensor key_membership, Tensor block_matrix, Tensor output, "
      "Tensor log_sum_exp, __torch__.torch.classes.sbm.SampledGraphs graphs, "
      "Tensor? dropout_keys, Tensor? density_gradient, int estimator, float clip, "
      "float probe_rate, float dropout, int path, float dense_from, "
      "bool bf16_memberships=False) -> (Tensor grad_query, Tensor grad_key, "
      "Tensor grad_value, Tensor grad_query_membership, Tensor grad_key_membership, "
      "Tensor grad_block_matrix)");
  library.def("keyed_dropout(Tensor input, Tensor keys, float probability) -> Tensor");
}

TORCH_LIBRARY_IMPL(sbm, CPU, library) {
  using namespace sbm::kernels::torch;
  library.impl("attention", attention_cpu);
  library.impl("attention_backward", attention_backward_cpu);
  library.impl("keyed_dropout", keyed_dropout_cpu);
}

TORCH_LIBRARY_IMPL(sbm, Meta, library) {
  using namespace sbm::kernels::torch;
  library.impl("attention", attention_meta);
  library.impl("attention_backward", attention_backward_meta);
  library.impl("keyed_dropout", keyed_dropout_meta);
}

TORCH_LIBRARY_IMPL(sbm, Autograd, library) {
  using namespace sbm::kernels::torch;
  library.impl("attention", attention_autograd);
  library.impl("attention_backward", attention_backward_autograd);
  library.impl("keyed_dropout", keyed_dropout_autograd);
}

// The CPU kernels compute in float, so autocast widens what a bfloat16 neighbour hands over.
TORCH_LIBRARY_IMPL(sbm, AutocastCPU, library) {
  using at::autocast::CastPolicy;
  using at::autocast::WrapFunction;
  using namespace sbm::kernels::torch;
  library.impl("attention", WrapFunction<CastPolicy::fp32, at::kCPU, AttentionSignature,
                                         AttentionSignature, dispatch_attention>::type::call);
  library.impl("keyed_dropout",
               WrapFunction<CastPolicy::fp32, at::kCPU, KeyedDropoutSignature,
                            KeyedDropoutSignature, dispatch_keyed_dropout>::type::call);
}

TORCH_LIBRARY_IMPL(sbm, CUDA, library) { sbm::kernels::torch::register_cuda_kernels(library); }

TORCH_LIBRARY_IMPL(sbm, AutocastCUDA, library) {
  using namespace sbm::kernels::torch;
  library.impl("attention", attention_autocast_cuda);
  library.impl("keyed_dropout", keyed_dropout_autocast_cuda);
}

namespace sbm::kernels::torch {

namespace {

template <typename Signature>
c10::TypedOperatorHandle<Signature> find_operator(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

}  // namespace

AttentionOutputs dispatch_attention(
    const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
    const at::Tensor& query_membership, const at::Tensor& key_membership,
    const at::Tensor& block_matrix, const OptionalTensor& query_valid,
    const OptionalTensor& key_valid, const at::Tensor& mask_keys, const OptionalTensor& probe_keys,
    const OptionalTensor& dropout_keys, const OptionalTensor& density_gradient, std::int64_t law,
    std::int64_t self_loops, double exploration, std::int64_t estimator, double clip,
    double probe_rate, double dropout, std::int64_t path, double dense_from,
    bool bf16_memberships) {
  static const auto attention = find_operator<AttentionSignature>("sbm::attention");
  return attention.call(query, key, value, query_membership, key_membership, block_matrix,
                        query_valid, key_valid, mask_keys, probe_keys, dropout_keys,
                        density_gradient, law, self_loops, exploration, estimator, clip, probe_rate,
                        dropout, path, dense_from, bf16_memberships);
}

AttentionGradients dispatch_attention_backward(
    const at::Tensor& grad_output, const at::Tensor& query, const at::Tensor& key,
    const at::Tensor& value, const at::Tensor& query_membership, const at::Tensor& key_membership,
    const at::Tensor& block_matrix, const at::Tensor& output, const at::Tensor& log_sum_exp,
    const SampledGraphsHandle& graphs, const OptionalTensor& dropout_keys,
    const OptionalTensor& density_gradient, std::int64_t estimator, double clip, double probe_rate,
    double dropout, std::int64_t path, double dense_from, bool bf16_memberships) {
  static const auto backward = find_operator<AttentionBackwardSignature>("sbm::attention_backward");
  return backward.call(grad_output, query, key, value, query_membership, key_membership,
                       block_matrix, output, log_sum_exp, graphs, dropout_keys, density_gradient,
                       estimator, clip, probe_rate, dropout, path, dense_from, bf16_memberships);
}

at::Tensor dispatch_keyed_dropout(const at::Tensor& input, const at::Tensor& keys,
                                  double probability) {
  static const auto dropout = find_operator<KeyedDropoutSignature>("sbm::keyed_dropout");
  return dropout.call(input, keys, probability);
}

SbmAttentionResult sbm_attention(
    const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
    const at::Tensor& query_membership, const at::Tensor& key_membership,
    const at::Tensor& block_matrix, const std::optional<at::Tensor>& query_valid,
    const std::optional<at::Tensor>& key_valid, const at::Tensor& mask_keys,
    const std::optional<at::Tensor>& probe_keys, const std::optional<at::Tensor>& dropout_keys,
    const std::optional<at::Tensor>& density_gradient, const SbmAttentionOptions& options) {
  auto [output, edge_counts, log_sum_exp, graphs] = dispatch_attention(
      query, key, value, query_membership, key_membership, block_matrix, query_valid, key_valid,
      mask_keys, probe_keys, dropout_keys, density_gradient, static_cast<std::int64_t>(options.law),
      static_cast<std::int64_t>(options.self_loops), options.exploration,
      static_cast<std::int64_t>(options.estimator), options.clip, options.probe_rate,
      options.dropout, static_cast<std::int64_t>(options.path), options.dense_from,
      options.bf16_memberships);
  return {.output = std::move(output), .edge_counts = std::move(edge_counts)};
}

at::Tensor keyed_dropout(const at::Tensor& input, const at::Tensor& keys, double probability) {
  return probability == 0.0 ? input : dispatch_keyed_dropout(input, keys, probability);
}

}  // namespace sbm::kernels::torch
