#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "distributed/communicator.h"
#include "trainer/config.pb.h"
#include "trainer/evaluation.h"
#include "trainer/telemetry.h"
#include "trainer/trial_folder.h"

namespace sbm::trainer {

/// Where a run begins.
enum class Resume {
  kAuto,  ///< the newest complete checkpoint of the run folder; a fresh start when there is none
  kNone,  ///< a fresh start; refused when the folder has checkpoints
  kPath,  ///< the named checkpoint; any damage is an error
};

struct TrainRequest {
  Config config;  ///< validated
  std::filesystem::path run_directory;
  Resume resume = Resume::kAuto;
  std::filesystem::path resume_path;  ///< for kPath
  ProgressMode progress = ProgressMode::kAuto;
  /// Since when runtime.time_limit_minutes counts.
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  /// Called often by every rank with the step and what it is about to do; feeds the watchdog.
  std::function<void(std::int64_t step, const char* operation)> heartbeat;
  /// This rank's log, a line a call; the run folder exists when it is called first.
  std::function<void(const std::string&)> log;
};

enum class TrainOutcome {
  kFinished,       ///< all steps done, or no improvement for early_stop_patience evaluations
  kStopRequested,  ///< signal, time limit or stop_at_step: checkpoint written, run again to go on
};

struct TrainResult {
  TrainOutcome outcome = TrainOutcome::kFinished;
  std::int64_t step = 0;
  std::string reason;  ///< why the run ended, for the last line on the terminal
};

/// Collective: trains to the end or to an agreed stop, with checkpoints and telemetry in the run
/// folder. Throws the errors of base/error.h; STATUS.json then says why. Most are thrown by every
/// rank alike; one that a rank has for itself leaves its peers waiting, so the caller ends them
/// all.
TrainResult train(distributed::Communicator& communicator, const TrainRequest& request);

/// Collective: the checks of train() on configuration, resume and data, two steps, a checkpoint,
/// all in `trial`. Returns a description for a person: model, memory, data, ranks.
std::string dry_run(distributed::Communicator& communicator, const TrainRequest& request,
                    TrialFolder& trial);

}  // namespace sbm::trainer
