#pragma once

#include <optional>

#include "distributed/communicator.h"
#include "trainer/evaluation.h"
#include "trainer/loaded_model.h"
#include "trainer/telemetry.h"

namespace sbm::trainer {

/// What `sbm eval` answers.
struct CheckpointEvaluation {
  EvaluationRecord record;
  /// Share of the most frequent label of the split: what guessing it would score. None for scores
  /// and masked tokens.
  std::optional<double> majority_share;
};

/// Collective. Evaluates a checkpoint's model on every sample of its split. Throws as evaluate().
CheckpointEvaluation evaluate_checkpoint(distributed::Communicator& communicator,
                                         const LoadedModel& model,
                                         const EvaluationOptions& options);

}  // namespace sbm::trainer
