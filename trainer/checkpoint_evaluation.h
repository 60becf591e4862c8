#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "distributed/communicator.h"
#include "trainer/config.pb.h"
#include "trainer/mask_control.h"
#include "trainer/telemetry.h"

namespace sbm::trainer {

/// What `sbm eval` asks for.
struct CheckpointEvaluationRequest {
  std::filesystem::path checkpoint;  ///< from find_checkpoint()
  std::string split = "test";
  std::optional<std::int32_t> draws;  ///< default: training.evaluation_draws
  MaskControl mask = MaskControl::kLearned;
  /// Folder of the data set; empty: the one the run used.
  std::filesystem::path data_folder;
  std::filesystem::path generated_data_root;        ///< where the run's generated data lie
  std::function<void(const std::string&)> message;  ///< told on rank 0 what takes time
  std::function<void(std::int64_t step, const char* operation)> heartbeat;
};

struct CheckpointEvaluation {
  EvaluationRecord record;
  std::string task;
  std::int32_t draws = 1;
  /// Share of the most frequent label of the split: what guessing it would score.
  double majority_share = 0.0;
};

/// The checkpoint that a person means by a run folder (its best one, else its newest), a
/// checkpoints folder (the newest) or a checkpoint's own folder. Throws CheckpointError when there
/// is none.
std::filesystem::path find_checkpoint(const std::filesystem::path& path);

/// The configuration inside a checkpoint. Throws CheckpointError or ConfigError.
Config checkpoint_configuration(const std::filesystem::path& checkpoint);

/// Throws CheckpointError unless this program draws the masks that the checkpoint was trained with.
void require_sampler_version(const std::filesystem::path& checkpoint, std::int32_t version);

/// Collective. Loads the model and evaluates it on every sample of the split.
CheckpointEvaluation evaluate_checkpoint(distributed::Communicator& communicator,
                                         const CheckpointEvaluationRequest& request);

}  // namespace sbm::trainer
