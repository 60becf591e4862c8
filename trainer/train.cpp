#include "trainer/train.h"

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "distributed/checkpoint/checkpoint.h"
#include "distributed/checkpoint/run_lock.h"
#include "distributed/stop_flag.h"
#include "trainer/config.h"
#include "trainer/report.h"
#include "trainer/run_folder.h"
#include "trainer/step_log.h"
#include "trainer/task_data.h"
#include "trainer/training_run.h"

namespace sbm::trainer {
namespace {

namespace checkpoint = distributed::checkpoint;
using Clock = std::chrono::steady_clock;

// What one configuration means must not depend on which rank reads it.
void require_equal_configurations(distributed::Communicator& communicator, const Config& config) {
  const std::vector<std::string> texts =
      distributed::all_gather_strings(communicator, resolved_text(config));
  for (std::size_t rank = 1; rank < texts.size(); ++rank) {
    if (texts[rank] == texts[0]) continue;
    throw ConfigError(fmt::format(
        "rank {} has another configuration than rank 0: expected the same file and --set on every "
        "rank",
        rank));
  }
}

// Decides where the run begins. Collective.
std::optional<std::filesystem::path> choose_checkpoint(distributed::Communicator& communicator,
                                                       const TrainRequest& request,
                                                       const RunFolder& folder,
                                                       std::vector<std::string>& warnings) {
  if (request.resume == Resume::kPath) return request.resume_path;
  if (request.resume == Resume::kNone) {
    const bool some = !checkpoint::list(folder.checkpoints()).empty();
    if (some) {
      throw ConfigError(folder.checkpoints().string() +
                        ": holds checkpoints, and --resume none would start over; name another "
                        "--run-dir or remove them");
    }
    return std::nullopt;
  }
  const auto found = checkpoint::find_newest(communicator, folder.checkpoints(), warnings);
  if (!found) return std::nullopt;
  return found->folder;
}

// Before anything is generated or built: a run that goes on keeps what it began with.
void require_same_run(const std::filesystem::path& folder, const Config& config) {
  const std::vector<ConfigDifference> differences =
      compare_for_resume(checkpoint::inspect(folder).configuration, folder.string(), config);
  if (differences.empty()) return;
  std::string text = folder.string() +
                     ": a run that goes on keeps the configuration it began with; different now:";
  for (const ConfigDifference& difference : differences) {
    text += fmt::format("\n  {}: {} before, {} now", difference.path, difference.before,
                        difference.after);
  }
  throw ConfigError(text + "\nName another --run-dir for another experiment.");
}

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
        start_(Clock::now()),
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
  void save();
  bool evaluate();
  [[nodiscard]] bool stop_step_reached() const;
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
  Clock::time_point start_;
  std::int64_t saved_step_;
};

void Loop::save() {
  const std::int64_t step = run_.state().step;
  if (saved_step_ == step && step > 0) return;
  heartbeat("checkpoint");
  if (lock_ != nullptr) lock_->check();
  const auto begin = Clock::now();
  const std::string notice = run_.save(run_id_);
  saved_step_ = step;
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const std::string text =
      notice.empty() ? fmt::format("checkpoint of step {} written in {:.2f} s", step, seconds)
                     : notice;
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
  const double minutes = std::chrono::duration<double>(Clock::now() - start_).count() / 60.0;
  return distributed::agree_on_stop(communicator_, {.signal = signals_.received(),
                                                    .time_limit = limit > 0 && minutes > limit,
                                                    .step = stop_step_reached()});
}

bool Loop::stop_step_reached() const {
  const std::int64_t stop_at = config_.training().stop_at_step();
  return stop_at > 0 && run_.state().step >= stop_at;
}

TrainResult Loop::train() {
  const Training& training = config_.training();
  StepLog log(config_, telemetry_);
  std::int64_t step = run_.state().step;
  if (step >= training.steps()) {
    return {TrainOutcome::kFinished, step, "all steps were done already"};
  }
  if (stop_step_reached()) {
    return {TrainOutcome::kStopRequested, step, "training.stop_at_step was reached already"};
  }
  while (true) {
    heartbeat("training step");
    log.begin();
    const StepStatistics statistics = run_.step();
    step = run_.state().step;
    log.add(statistics, step, run_.epoch());
    const bool best = due(training.evaluate_every()) && evaluate();
    const bool last = step == training.steps();
    if (best || due(config_.checkpoint().every_steps())) save();
    if (last) return {TrainOutcome::kFinished, step, "all steps done"};
    if (training.early_stop_patience() > 0 &&
        run_.state().evaluations_without_improvement >= training.early_stop_patience()) {
      save();
      return {TrainOutcome::kFinished, step,
              fmt::format("no improvement in {} evaluations; best at step {}",
                          training.early_stop_patience(), run_.state().best_step)};
    }
    if (const distributed::StopDecision decision = agree(); decision.stop()) {
      save();
      return {TrainOutcome::kStopRequested, step, decision.describe()};
    }
  }
}

}  // namespace

TrainResult train(distributed::Communicator& communicator, const TrainRequest& request) {
  require_equal_configurations(communicator, request.config);
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
  if (resumed) require_same_run(*resumed, request.config);

  const std::filesystem::path data_folder =
      prepare_data(communicator, request.config, generated_data_root(folder.path()), say);
  TrainingRun run(communicator, request, folder, data_folder);
  say(run.description());

  if (resumed) {
    run.restore(*resumed);
    say(fmt::format("resumed     step {} from {}", run.state().step, resumed->string()));
  }
  if (first) folder.write_configuration(resolved_text(request.config));

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
  const TrainResult result =
      Loop(communicator, request, folder, lock.get(), signals, run, telemetry.get(), run_id)
          .train();
  if (telemetry) {
    telemetry->close();
    const bool finished = result.outcome == TrainOutcome::kFinished;
    folder.write_status(finished ? "finished" : "stopped", result.step, result.reason);
    write_report(folder.path());
  }
  request.log(fmt::format("run ends at step {}: {}", result.step, result.reason));
  return result;
}

}  // namespace sbm::trainer
