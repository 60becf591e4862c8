#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/loader.h"
#include "distributed/communicator.h"
#include "distributed/gradient_reducer.h"
#include "distributed/sharded_adamw.h"
#include "trainer/encoder.h"
#include "trainer/evaluation.h"
#include "trainer/parameters.h"
#include "trainer/report.h"
#include "trainer/run_folder.h"
#include "trainer/train.h"
#include "trainer/train_step.h"
#include "trainer/trainer_state.h"

namespace sbm::trainer {

/// The parts of one training run on one rank, put together: data, model, optimiser, and what the
/// run remembers. train() drives it; nothing here loops.
class TrainingRun {
 public:
  /// Collective. Opens the data and builds the model on every rank; what is given outlives the
  /// object. Throws DataError when the folder holds another task's data.
  TrainingRun(distributed::Communicator& communicator, const TrainRequest& request,
              const RunFolder& folder, const std::filesystem::path& data_folder);
  TrainingRun(const TrainingRun&) = delete;
  TrainingRun& operator=(const TrainingRun&) = delete;

  /// Collective. Puts weights, moments and state of a checkpoint in place. Throws ConfigError when
  /// it was trained on other data.
  void restore(const std::filesystem::path& checkpoint);

  /// Collective. Before the first step of a run with training.initialize_from: puts those weights
  /// in place and says which, a line each. As initialize_weights().
  [[nodiscard]] std::string initialize();

  /// Collective. The next optimiser step; state().step grows by one.
  StepStatistics step();

  /// Collective. Evaluates the validation split and notes whether it is the best so far.
  EvaluationRecord evaluate_validation();

  /// What the log should know of a save; mostly nothing.
  struct SaveNotes {
    std::string notice;                 ///< something was skipped or put aside
    std::vector<std::string> warnings;  ///< damaged checkpoints that lie there
  };
  /// Collective. Commits a checkpoint of the current step and removes those beyond keep_last.
  SaveNotes save(const std::string& run_id);

  [[nodiscard]] const TrainerState& state() const { return state_; }
  [[nodiscard]] double epoch() const;
  /// What one sample's masks look like now; computed by the calling rank alone.
  [[nodiscard]] std::vector<MaskPicture> mask_pictures() const;
  /// Sizes of model, buffers and data, and which parameters decay: printed at the start.
  [[nodiscard]] std::string description() const;

 private:
  void start_loader();

  distributed::Communicator& communicator_;
  const TrainRequest& request_;
  const Config& config_;
  const RunFolder& folder_;
  std::filesystem::path data_folder_;
  data::Dataset train_;
  data::Dataset validation_;
  ModelParameters parameters_;
  Encoder encoder_;
  distributed::GradientReducer reducer_;
  distributed::ShardedAdamW optimizer_;
  std::unique_ptr<data::TrainingLoader> loader_;
  std::unique_ptr<TrainStep> train_step_;
  std::uint64_t epoch_size_ = 0;  ///< samples of an epoch
  TrainerState state_;
};

}  // namespace sbm::trainer
