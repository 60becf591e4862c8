#include "trainer/train_step.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "base/error.h"
#include "distributed/lasting_memory.h"
#include "distributed/tree_all_reduce.h"
#include "trainer/batch_tensors.h"
#include "trainer/loss.h"
#include "trainer/schedule.h"

namespace sbm::trainer {

TrainStep::TrainStep(distributed::Communicator& communicator, const Config& config,
                     const Encoder& encoder, const distributed::FlatLayout& layout,
                     distributed::GradientReducer& reducer, distributed::ShardedAdamW& optimizer,
                     data::TrainingLoader& loader)
    : communicator_(communicator),
      config_(config),
      encoder_(encoder),
      layout_(layout),
      reducer_(reducer),
      optimizer_(optimizer),
      loader_(loader) {}

std::vector<data::Batch> TrainStep::next_batches() {
  std::vector<data::Batch> batches;
  batches.reserve(static_cast<std::size_t>(reducer_.run().size()));
  for (std::int64_t i = 0; i < reducer_.run().size(); ++i) batches.push_back(loader_.next());
  return batches;
}

// A micro-batch's loss is its sum over the count of the whole global batch, so the ranks agree on
// that count before the first backward.
std::int64_t TrainStep::count_targets(const std::vector<data::Batch>& batches) const {
  std::int64_t targets = 0;
  for (const data::Batch& batch : batches) {
    targets += std::ssize(batch.scores);
    targets += std::ranges::count_if(batch.labels, [](std::int32_t label) { return label >= 0; });
    targets +=
        std::ranges::count_if(batch.token_labels, [](std::int32_t label) { return label >= 0; });
  }
  distributed::LastingVector<std::int64_t> sum = {targets};
  communicator_.all_reduce_sum(sum)->wait();
  // Whole words may all be longer than what is to be masked: then the loss is the 0 of no target.
  return encoder_.shape().masked_language ? std::max<std::int64_t>(1, sum[0]) : sum[0];
}

Totals TrainStep::micro_batch(const data::Batch& batch, std::int64_t step,
                              std::int64_t global_targets) {
  const Training& training = config_.training();
  const bool masked = encoder_.shape().masked_language;
  BatchTensors tensors = masked ? masked_tensors(batch) : batch_tensors(batch);
  tensors.input.seed = training.seed();
  tensors.input.step = static_cast<std::uint64_t>(step);
  tensors.input.training = true;
  reducer_.begin_micro_batch();
  const EncoderOutput output = encoder_.forward(tensors.input);
  const data::LabelKind labels = encoder_.shape().labels;
  const at::Tensor loss_sum = target_loss_sum(labels, output.logits, tensors.targets);
  const at::Tensor loss = micro_batch_loss(loss_sum, output.expected_density, global_targets,
                                           training.global_batch_size(),
                                           density_weight(config_.model().attention(), step + 1));
  loss.backward();
  reducer_.end_micro_batch();
  if (masked) {
    return count_masked_totals(loss_sum, output.logits, tensors.targets, output.valid,
                               output.edge_counts);
  }
  return count_totals(labels, predictions(labels, output.logits), tensors.targets, output.valid,
                      output.edge_counts);
}

StepStatistics TrainStep::run(std::int64_t step) {
  const std::vector<data::Batch> batches = next_batches();
  const std::int64_t global_targets = count_targets(batches);
  std::vector<double> mine;
  try {
    for (const data::Batch& batch : batches) {
      const std::vector<double> packed = micro_batch(batch, step, global_targets).pack();
      mine.insert(mine.end(), packed.begin(), packed.end());
    }
  } catch (const DivergenceError& error) {  // the model does not know the step
    throw DivergenceError(fmt::format("training diverged at step {}: {}", step + 1, error.what()));
  }
  const std::span<const float> gradient = reducer_.reduce();

  const Training& training = config_.training();
  StepStatistics statistics;
  statistics.gradient_norm = distributed::gradient_norm(communicator_, layout_, gradient);
  statistics.totals = Totals::unpack(distributed::tree_all_reduce(
      communicator_, training.global_batch_size() / training.micro_batch_size(),
      totals_width(config_.model().layers(), config_.model().heads()), mine));
  statistics.learning_rate = learning_rate(training, step + 1);
  if (!std::isfinite(statistics.totals.loss) || !std::isfinite(statistics.gradient_norm)) {
    throw DivergenceError(fmt::format(
        "training diverged at step {}: expected a finite loss and gradient, found loss {} and "
        "gradient norm {} at learning rate {:.3g}; lower training.learning_rate or raise "
        "training.warmup_steps, and resume from the last checkpoint",
        step + 1, statistics.totals.mean_loss(), statistics.gradient_norm,
        statistics.learning_rate));
  }
  const double scale = training.clip_norm() > 0 && statistics.gradient_norm > training.clip_norm()
                           ? training.clip_norm() / statistics.gradient_norm
                           : 1.0;
  optimizer_.step(gradient, statistics.learning_rate, scale);
  return statistics;
}

}  // namespace sbm::trainer
