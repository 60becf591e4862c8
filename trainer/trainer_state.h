#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sbm::trainer {

/// What a run must remember beside weights and moments to go on as if it had never stopped. Holds
/// nothing that depends on the world size, the host or the clock.
struct TrainerState {
  std::int64_t step = 0;      ///< optimiser steps done
  std::int64_t position = 0;  ///< samples consumed: step * global batch
  std::uint64_t seed = 0;
  std::string schedule;         ///< name of the learning-rate schedule
  std::int64_t best_step = -1;  ///< step of the best evaluation; -1: none yet
  double best_value = 0.0;      ///< its validation metric
  std::string best_metric;      ///< name of that metric
  std::int64_t evaluations_without_improvement = 0;
  std::map<std::string, double> last_metrics;  ///< of the newest validation
  /// By class id, as the training data have them; empty in checkpoints from before they were kept.
  std::vector<std::string> label_names{};
  /// data::Dataset::vocabulary_hash(); nothing in checkpoints from before it was kept.
  std::optional<std::string> vocabulary{};
};

/// Deterministic JSON text: sorted keys, shortest round-trip numbers, a final newline.
std::string to_json(const TrainerState& state);

/// Throws CheckpointError naming the missing or wrong field.
TrainerState trainer_state_from_json(const std::string& text);

}  // namespace sbm::trainer
