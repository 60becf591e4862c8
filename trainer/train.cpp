#include "trainer/train.h"

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "distributed/checkpoint/checkpoint.h"
#include "distributed/checkpoint/folder_names.h"
#include "distributed/checkpoint/run_lock.h"
#include "distributed/stop_flag.h"
#include "trainer/config.h"
#include "trainer/initial_weights.h"
#include "trainer/report.h"
#include "trainer/run_folder.h"
#include "trainer/run_start.h"
#include "trainer/step_log.h"
#include "trainer/task_data.h"
#include "trainer/training_run.h"

namespace sbm::trainer {
namespace {

namespace checkpoint = distributed::checkpoint;
using Clock = std::chrono::steady_clock;

class Loop {
 public:
  Loop(distributed::Communicator& communicator, const TrainRequest& request,
       const RunFolder& folder, const checkpoint::RunLock* lock,
       const distributed::StopSignals& signals, TrainingRun& run, Telemetry* telemetry,
       std::string run_id)
      : communicator_(communicator),
        request_(request),
        config_(request.config),
        folder_(folder),
        lock_(lock),
        signals_(signals),
        run_(run),
        telemetry_(telemetry),
        run_id_(std::move(run_id)),
        saved_step_(run.state().step) {}

  TrainResult train();

 private:
  void heartbeat(const char* operation) const {
    if (request_.heartbeat) request_.heartbeat(run_.state().step, operation);
  }
  [[nodiscard]] bool due(std::int64_t every) const {
    const std::int64_t step = run_.state().step;
    return step == config_.training().steps() || (every > 0 && step % every == 0);
  }
  void say(const std::string& text);
  void save();
  bool evaluate();
  [[nodiscard]] bool stop_step_reached() const;
  [[nodiscard]] std::optional<TrainResult> finished() const;
  distributed::StopDecision agree();

  distributed::Communicator& communicator_;
  const TrainRequest& request_;
  const Config& config_;
  const RunFolder& folder_;
  const checkpoint::RunLock* lock_;  ///< rank 0 only
  const distributed::StopSignals& signals_;
  TrainingRun& run_;
  Telemetry* telemetry_;  ///< rank 0 only
  std::string run_id_;
  std::int64_t saved_step_;
  std::set<std::string> warned_;
};

void Loop::save() {
  const std::int64_t step = run_.state().step;
  if (saved_step_ == step && step > 0) return;
  heartbeat("checkpoint");
  if (lock_ != nullptr) lock_->check();
  const auto begin = Clock::now();
  const TrainingRun::SaveNotes notes = run_.save(run_id_);
  saved_step_ = step;
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  say(notes.notice.empty() ? fmt::format("checkpoint of step {} written in {:.2f} s", step, seconds)
                           : notes.notice);
  for (const std::string& warning : notes.warnings) {
    // Retention finds the same damage at each save; once is enough.
    if (warned_.insert(warning).second) say("warning: " + warning);
  }
}

void Loop::say(const std::string& text) {
  request_.log(text);
  if (telemetry_ != nullptr) telemetry_->message(text);
}

// Whether this was the best evaluation so far.
bool Loop::evaluate() {
  heartbeat("evaluation");
  const EvaluationRecord record = run_.evaluate_validation();
  if (telemetry_ != nullptr) {
    telemetry_->evaluation(record);
    save_mask_pictures(folder_.path(), record.step, run_.mask_pictures());
  }
  return record.best;
}

// The agreed reason to stop before the end, the same on every rank. Collective.
distributed::StopDecision Loop::agree() {
  const double limit = config_.runtime().time_limit_minutes();
  const double minutes =
      std::chrono::duration<double>(Clock::now() - request_.start).count() / 60.0;
  return distributed::agree_on_stop(communicator_, {.signal = signals_.received(),
                                                    .time_limit = limit > 0 && minutes > limit,
                                                    .step = stop_step_reached()});
}

bool Loop::stop_step_reached() const {
  const std::int64_t stop_at = config_.training().stop_at_step();
  return stop_at > 0 && run_.state().step >= stop_at;
}

// Why the run is over, also for one that is started again after its end.
std::optional<TrainResult> Loop::finished() const {
  const Training& training = config_.training();
  const std::int64_t step = run_.state().step;
  if (step >= training.steps()) return TrainResult{TrainOutcome::kFinished, step, "all steps done"};
  if (training.early_stop_patience() > 0 &&
      run_.state().evaluations_without_improvement >= training.early_stop_patience()) {
    return TrainResult{TrainOutcome::kFinished, step,
                       fmt::format("no improvement in {} evaluations; best at step {}",
                                   training.early_stop_patience(), run_.state().best_step)};
  }
  return std::nullopt;
}

TrainResult Loop::train() {
  const Training& training = config_.training();
  StepLog log(config_, telemetry_);
  heartbeat("start");
  if (const auto over = finished()) return *over;
  if (stop_step_reached()) {
    return {TrainOutcome::kStopRequested, run_.state().step,
            "training.stop_at_step was reached already"};
  }
  while (true) {
    heartbeat("training step");
    log.begin();
    const StepStatistics statistics = run_.step();
    log.add(statistics, run_.state().step, run_.epoch());
    const bool best = due(training.evaluate_every()) && evaluate();
    if (best || due(config_.checkpoint().every_steps())) save();
    if (const auto over = finished()) {
      save();
      return *over;
    }
    if (const distributed::StopDecision decision = agree(); decision.stop()) {
      save();
      return {TrainOutcome::kStopRequested, run_.state().step, decision.describe()};
    }
  }
}

// The full disk that ends a run keeps STATUS.json from being written, too; the run's own error is
// the one to be told.
void say_failed(const RunFolder& folder, std::int64_t step, const std::string& why) {
  try {
    folder.write_status("failed", step, why);
  } catch (const ConfigError&) {
  }
}

}  // namespace

TrainResult train(distributed::Communicator& communicator, const TrainRequest& request) {
  require_equal_configurations(communicator, request.config);
  TrainRequest begun = request;
  const RunFolder folder(request.run_directory);
  folder.create(communicator);
  const auto lock = checkpoint::lock_run(communicator, folder.path());
  const distributed::StopSignals signals;
  const bool first = communicator.rank() == 0;
  const std::string run_id = make_run_id(communicator);
  request.log(fmt::format("run {} starts: rank {} of {}", run_id, communicator.rank(),
                          communicator.world_size()));
  const auto say = [&](const std::string& text) {
    request.log(text);
    if (first && request.progress != ProgressMode::kNone) fmt::print(stderr, "{}\n", text);
  };
  std::vector<std::string> warnings;
  const auto resumed = choose_checkpoint(communicator, request, folder, warnings);
  for (const std::string& warning : warnings) say("warning: " + warning);
  begun.config = note_initial_weights(communicator, request.config, resumed);
  if (resumed) {
    require_same_run(*resumed, begun.config);
    const std::string warning = warn_of_other_threads(communicator, *resumed);
    if (!warning.empty()) say("warning: " + warning);
  }

  const auto data_folder =
      prepare_data_unless(communicator, request.config, generated_data_root(folder.path()), say,
                          [&] { return signals.received() != 0; });
  if (!data_folder) {
    const auto step =
        resumed ? checkpoint::parse_step_name(resumed->filename().string()) : std::nullopt;
    return {.outcome = TrainOutcome::kStopRequested,
            .step = step.value_or(0),
            .reason = "a signal came while data were generated"};
  }
  TrainingRun run(communicator, begun, folder, *data_folder);
  say(run.description());

  if (resumed) {
    run.restore(*resumed);
    say(fmt::format("resumed     step {} from {}", run.state().step, resumed->string()));
  } else if (!begun.config.training().initialize_from().empty()) {
    say(run.initialize());
  }
  if (first) folder.write_configuration(resolved_text(begun.config));

  std::unique_ptr<Telemetry> telemetry;
  if (first) {
    telemetry = std::make_unique<Telemetry>(
        Telemetry::Options{.run_directory = folder.path(),
                           .resume_step = run.state().step,
                           .total_steps = request.config.training().steps(),
                           .progress = request.progress,
                           .task = request.config.task().name(),
                           .layers = request.config.model().layers(),
                           .heads = request.config.model().heads()});
    folder.write_status("running", run.state().step, "");
  }
  TrainResult result;
  try {
    result = Loop(communicator, begun, folder, lock.get(), signals, run, telemetry.get(), run_id)
                 .train();
  } catch (const std::exception& error) {  // said where launchers look, then passed on
    if (first) {
      telemetry->close();
      say_failed(folder, run.state().step, error.what());
    }
    throw;
  }
  if (first) {
    telemetry->close();
    const bool finished = result.outcome == TrainOutcome::kFinished;
    folder.write_status(finished ? "finished" : "stopped", result.step, result.reason);
    write_report(folder.path());
  }
  request.log(fmt::format("run ends at step {}: {}", result.step, result.reason));
  return result;
}

}  // namespace sbm::trainer
