#include "trainer/published_attention.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

namespace sbm::trainer {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class StraightThroughBernoulli final : public torch::autograd::Function<StraightThroughBernoulli> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& probability) {
    const at::Tensor sample = at::bernoulli(probability);
    context->save_for_backward({sample});
    return sample;
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return {at::hardtanh(context->get_saved_variables()[0] * gradients[0])};
  }
};

}  // namespace

at::Tensor published_attention(const at::Tensor& query, const at::Tensor& key,
                               const at::Tensor& value, const at::Tensor& query_membership,
                               const at::Tensor& key_membership, const at::Tensor& block_matrix,
                               double exploration) {
  const at::Tensor probability =
      query_membership.matmul(block_matrix).matmul(key_membership.transpose(-1, -2));
  const at::Tensor mask =
      StraightThroughBernoulli::apply((probability + exploration).clamp(0.0, 1.0));
  const double scale = 1.0 / std::sqrt(static_cast<double>(query.size(-1)));
  const at::Tensor weights = (query.matmul(key.transpose(-1, -2)) * scale).softmax(-1) * mask;
  const at::Tensor norm = weights.abs().sum(-1, true).clamp_min(1e-12);
  return (weights / norm).matmul(value);
}

}  // namespace sbm::trainer
