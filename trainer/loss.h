#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "data/batch.h"

namespace sbm::trainer {

/// Class id that is no target: padding, or a token without label.
inline constexpr std::int64_t kIgnoredTarget = -1;

/// Sum of -log softmax(logits)[target] over the targets that are not kIgnoredTarget.
/// `logits` float [..., classes], `targets` int64 [...]. A scalar, 0 without targets.
at::Tensor cross_entropy_sum(const at::Tensor& logits, const at::Tensor& targets);

/// Sum of (prediction - target)^2. `predictions` float [batch, 1], `targets` float [batch].
at::Tensor squared_error_sum(const at::Tensor& predictions, const at::Tensor& targets);

/// The loss that goes with the labels, summed over the targets: squared_error_sum() for scores,
/// else cross_entropy_sum().
at::Tensor target_loss_sum(data::LabelKind labels, const at::Tensor& logits,
                           const at::Tensor& targets);

/// What one micro-batch adds to the loss of the global batch, so that the micro-batches' losses,
/// and therefore gradients, merely add up:
///   loss_sum / global_targets
///     + density_weight * (sum over samples of the mean over layers and heads) / global_samples
/// `expected_density` float [layers, batch, heads]. With density_weight 0 the second term is left
/// out, backward cost included.
at::Tensor micro_batch_loss(const at::Tensor& loss_sum, const at::Tensor& expected_density,
                            std::int64_t global_targets, std::int64_t global_samples,
                            double density_weight);

}  // namespace sbm::trainer
