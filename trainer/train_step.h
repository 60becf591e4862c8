#pragma once

#include <cstdint>
#include <vector>

#include "data/batch.h"
#include "data/loader.h"
#include "distributed/communicator.h"
#include "distributed/flat_layout.h"
#include "distributed/gradient_reducer.h"
#include "distributed/sharded_adamw.h"
#include "trainer/config.pb.h"
#include "trainer/encoder.h"
#include "trainer/metrics.h"

namespace sbm::trainer {

/// What one step saw, summed over the whole global batch: equal on every rank.
struct StepStatistics {
  Totals totals;
  double gradient_norm = 0.0;  ///< before clipping
  double learning_rate = 0.0;
};

/// One optimiser step: this rank's micro-batches forward and backward, the ordered sum of all
/// gradients, clipping, the sharded update.
class TrainStep {
 public:
  /// Everything given outlives the object; gradients of the encoder's parameters are views of the
  /// reducer's leaf.
  TrainStep(distributed::Communicator& communicator, const Config& config, const Encoder& encoder,
            const distributed::FlatLayout& layout, distributed::GradientReducer& reducer,
            distributed::ShardedAdamW& optimizer, data::TrainingLoader& loader);

  /// `step`: optimiser steps done so far. Throws DivergenceError, on every rank alike, when loss or
  /// gradient is not finite; weights are then those of the last good step.
  StepStatistics run(std::int64_t step);

 private:
  [[nodiscard]] std::vector<data::Batch> next_batches();
  [[nodiscard]] std::int64_t count_targets(const std::vector<data::Batch>& batches) const;
  [[nodiscard]] Totals micro_batch(const data::Batch& batch, std::int64_t step,
                                   std::int64_t global_targets);

  distributed::Communicator& communicator_;
  const Config& config_;
  const Encoder& encoder_;
  const distributed::FlatLayout& layout_;
  distributed::GradientReducer& reducer_;
  distributed::ShardedAdamW& optimizer_;
  data::TrainingLoader& loader_;
};

}  // namespace sbm::trainer
