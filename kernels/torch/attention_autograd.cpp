#include <ATen/ATen.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/graph_task.h>

#include <algorithm>
#include <utility>

#include "kernels/torch/registered_kernels.h"

// How sbm::attention takes part in LibTorch's autograd.
namespace sbm::kernels::torch {

namespace {

using ::torch::autograd::AutogradContext;
using ::torch::autograd::variable_list;

bool wants_gradient(at::TensorList tensors) {
  return at::GradMode::is_enabled() &&
         std::any_of(tensors.begin(), tensors.end(),
                     [](const at::Tensor& tensor) { return tensor.requires_grad(); });
}

// Saved for the backward: the inputs, the output, its log-sum-exp and the edges; nothing that grows
// as queries x keys.
class Attention final : public ::torch::autograd::Function<Attention> {
 public:
  static variable_list forward(AutogradContext* context, SampledGraphsHandle* sampled,
                               const at::Tensor& query, const at::Tensor& key,
                               const at::Tensor& value, const at::Tensor& query_membership,
                               const at::Tensor& key_membership, const at::Tensor& block_matrix,
                               const OptionalTensor& query_valid, const OptionalTensor& key_valid,
                               const at::Tensor& mask_keys, const OptionalTensor& probe_keys,
                               const OptionalTensor& dropout_keys,
                               const OptionalTensor& density_gradient, std::int64_t law,
                               std::int64_t self_loops, double exploration, std::int64_t estimator,
                               double clip, double probe_rate, double dropout, std::int64_t path,
                               double dense_from, bool bf16_memberships) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    auto [output, edge_counts, log_sum_exp, graphs] = dispatch_attention(
        query, key, value, query_membership, key_membership, block_matrix, query_valid, key_valid,
        mask_keys, probe_keys, dropout_keys, density_gradient, law, self_loops, exploration,
        estimator, clip, probe_rate, dropout, path, dense_from, bf16_memberships);
    context->save_for_backward({query, key, value, query_membership, key_membership, block_matrix,
                                output, log_sum_exp, dropout_keys.value_or(at::Tensor()),
                                density_gradient.value_or(at::Tensor())});
    context->saved_data["graphs"] = graphs;
    context->saved_data["estimator"] = estimator;
    context->saved_data["clip"] = clip;
    context->saved_data["probe_rate"] = probe_rate;
    context->saved_data["dropout"] = dropout;
    context->saved_data["path"] = path;
    context->saved_data["dense_from"] = dense_from;
    context->saved_data["bf16_memberships"] = bf16_memberships;
    context->mark_non_differentiable({edge_counts, log_sum_exp});
    context->set_materialize_grads(false);
    *sampled = std::move(graphs);
    return {output, edge_counts, log_sum_exp};
  }

  static variable_list backward(AutogradContext* context, variable_list grad_outputs) {
    variable_list gradients(kArguments);
    if (!grad_outputs[0].defined()) return gradients;
    const variable_list saved = context->get_saved_variables();
    auto& data = context->saved_data;
    const auto graphs = data["graphs"].toCustomClass<SampledGraphs>();
    std::tie(gradients[1], gradients[2], gradients[3], gradients[4], gradients[5], gradients[6]) =
        dispatch_attention_backward(
            grad_outputs[0], saved[0], saved[1], saved[2], saved[3], saved[4], saved[5], saved[6],
            saved[7], graphs, saved[8], saved[9], data["estimator"].toInt(),
            data["clip"].toDouble(), data["probe_rate"].toDouble(), data["dropout"].toDouble(),
            data["path"].toInt(), data["dense_from"].toDouble(), data["bf16_memberships"].toBool());
    // LibTorch frees saved tensors now, but not saved_data; the edges would outlive them.
    if (!::torch::autograd::get_current_graph_task_keep_graph()) data.erase("graphs");
    return gradients;
  }

 private:
  static constexpr std::size_t kArguments = 23;  // of forward, the context aside
};

// Puts gradients into the graph of whoever asked for create_graph: they can be used and returned,
// and whoever differentiates them once more learns why not.
class OnceDifferentiable final : public ::torch::autograd::Function<OnceDifferentiable> {
 public:
  static variable_list forward(AutogradContext* /*context*/, const variable_list* gradients,
                               at::TensorList /*sources*/) {
    return *gradients;
  }

  static variable_list backward(AutogradContext* /*context*/, const variable_list& /*unused*/) {
    TORCH_CHECK(false, "sbm::attention has no second derivative: expected one backward, found a ",
                "backward through its gradients (create_graph)");
  }
};

}  // namespace

AttentionOutputs attention_autograd(
    const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
    const at::Tensor& query_membership, const at::Tensor& key_membership,
    const at::Tensor& block_matrix, const OptionalTensor& query_valid,
    const OptionalTensor& key_valid, const at::Tensor& mask_keys, const OptionalTensor& probe_keys,
    const OptionalTensor& dropout_keys, const OptionalTensor& density_gradient, std::int64_t law,
    std::int64_t self_loops, double exploration, std::int64_t estimator, double clip,
    double probe_rate, double dropout, std::int64_t path, double dense_from,
    bool bf16_memberships) {
  if (!wants_gradient({query, key, value, query_membership, key_membership, block_matrix})) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    return dispatch_attention(query, key, value, query_membership, key_membership, block_matrix,
                              query_valid, key_valid, mask_keys, probe_keys, dropout_keys,
                              density_gradient, law, self_loops, exploration, estimator, clip,
                              probe_rate, dropout, path, dense_from, bf16_memberships);
  }
  SampledGraphsHandle graphs;
  const variable_list outputs = Attention::apply(
      &graphs, query, key, value, query_membership, key_membership, block_matrix, query_valid,
      key_valid, mask_keys, probe_keys, dropout_keys, density_gradient, law, self_loops,
      exploration, estimator, clip, probe_rate, dropout, path, dense_from, bf16_memberships);
  return {outputs[0], outputs[1], outputs[2], std::move(graphs)};
}

AttentionGradients attention_backward_autograd(
    const at::Tensor& grad_output, const at::Tensor& query, const at::Tensor& key,
    const at::Tensor& value, const at::Tensor& query_membership, const at::Tensor& key_membership,
    const at::Tensor& block_matrix, const at::Tensor& output, const at::Tensor& log_sum_exp,
    const SampledGraphsHandle& graphs, const OptionalTensor& dropout_keys,
    const OptionalTensor& density_gradient, std::int64_t estimator, double clip, double probe_rate,
    double dropout, std::int64_t path, double dense_from, bool bf16_memberships) {
  variable_list gradients(6);
  {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    std::tie(gradients[0], gradients[1], gradients[2], gradients[3], gradients[4], gradients[5]) =
        dispatch_attention_backward(grad_output, query, key, value, query_membership,
                                    key_membership, block_matrix, output, log_sum_exp, graphs,
                                    dropout_keys, density_gradient, estimator, clip, probe_rate,
                                    dropout, path, dense_from, bf16_memberships);
  }
  const variable_list sources = {grad_output,      query,          key,         value,
                                 query_membership, key_membership, block_matrix};
  if (wants_gradient(sources)) {
    gradients = OnceDifferentiable::apply(&gradients, at::TensorList(sources));
  }
  return {gradients[0], gradients[1], gradients[2], gradients[3], gradients[4], gradients[5]};
}

}  // namespace sbm::kernels::torch
