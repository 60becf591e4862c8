#include "trainer/loss.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace sbm::trainer {

at::Tensor cross_entropy_sum(const at::Tensor& logits, const at::Tensor& targets) {
  return at::cross_entropy_loss(logits.flatten(0, -2), targets.flatten(), {}, at::Reduction::Sum,
                                kIgnoredTarget);
}

at::Tensor squared_error_sum(const at::Tensor& predictions, const at::Tensor& targets) {
  return (predictions.squeeze(-1) - targets).square().sum();
}

at::Tensor target_loss_sum(data::LabelKind labels, const at::Tensor& logits,
                           const at::Tensor& targets) {
  return labels == data::LabelKind::kScore ? squared_error_sum(logits, targets)
                                           : cross_entropy_sum(logits, targets);
}

at::Tensor micro_batch_loss(const at::Tensor& loss_sum, const at::Tensor& expected_density,
                            std::int64_t global_targets, std::int64_t global_samples,
                            double density_weight) {
  if (global_targets < 1 || global_samples < 1) {
    throw InternalError("loss: expected at least one target and one sample in the global batch, " +
                        std::to_string(global_targets) + " and " + std::to_string(global_samples) +
                        " found");
  }
  const at::Tensor loss = loss_sum / static_cast<double>(global_targets);
  if (density_weight == 0.0) return loss;
  const double graphs_of_a_sample =
      static_cast<double>(expected_density.size(0) * expected_density.size(2));
  return loss + expected_density.sum() *
                    (density_weight / graphs_of_a_sample / static_cast<double>(global_samples));
}

}  // namespace sbm::trainer
