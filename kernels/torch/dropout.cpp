#include "kernels/cpu/dropout.h"

#include <ATen/ATen.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include <span>

#include "kernels/torch/checks.h"
#include "kernels/torch/executor.h"
#include "kernels/torch/registered_kernels.h"

// The operator sbm::keyed_dropout on CPU tensors and its autograd.
namespace sbm::kernels::torch {

namespace {

using ::torch::autograd::AutogradContext;
using ::torch::autograd::variable_list;

// Only the keys are saved: the mask is drawn again. The gradient goes through the operator too, so
// it can be differentiated in its turn.
class KeyedDropout final : public ::torch::autograd::Function<KeyedDropout> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input,
                            const at::Tensor& keys, double probability) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    context->save_for_backward({keys});
    context->saved_data["probability"] = probability;
    return dispatch_keyed_dropout(input, keys, probability);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grad_outputs) {
    return {dispatch_keyed_dropout(grad_outputs[0], context->get_saved_variables()[0],
                                   context->saved_data["probability"].toDouble()),
            at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor keyed_dropout_cpu(const at::Tensor& input, const at::Tensor& keys, double probability) {
  check_keyed_dropout(input, keys, Precisions::kFloat);
  const at::Tensor dense_input = input.contiguous();
  const at::Tensor dense_keys = keys.contiguous();
  at::Tensor output = at::empty_like(dense_input);
  const auto elements = static_cast<std::size_t>(dense_input.numel());
  IntraOpExecutor executor;
  check_status(
      "sbm::keyed_dropout",
      cpu::keyed_dropout(
          std::span(dense_input.const_data_ptr<float>(), elements),
          std::span(output.mutable_data_ptr<float>(), elements), input.size(1), input.size(2),
          probability,
          std::span(reinterpret_cast<const PhiloxKey*>(dense_keys.const_data_ptr<std::int64_t>()),
                    static_cast<std::size_t>(dense_keys.numel())),
          executor));
  return output;
}

at::Tensor keyed_dropout_autograd(const at::Tensor& input, const at::Tensor& keys,
                                  double probability) {
  return KeyedDropout::apply(input, keys, probability);
}

}  // namespace sbm::kernels::torch
