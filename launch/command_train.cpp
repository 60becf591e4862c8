#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "launch/command.h"
#include "launch/one_of.h"
#include "launch/rank_log.h"
#include "launch/rank_table.h"
#include "launch/runtime.h"
#include "launch/signal_cleanup.h"
#include "trainer/config.h"
#include "trainer/named_checkpoint.h"
#include "trainer/train.h"

namespace sbm::launch {
namespace {

struct Options {
  std::string config_file;
  std::vector<std::string> overrides;
  std::string run_directory;
  std::string resume = "auto";
  std::string progress = "auto";
  bool dry_run = false;
};

trainer::TrainRequest make_request(const Options& options) {
  trainer::TrainRequest request;
  request.config = trainer::load_config(options.config_file, options.overrides);
  request.run_directory =
      options.run_directory.empty()
          ? std::filesystem::path("runs") / std::filesystem::path(options.config_file).stem()
          : std::filesystem::path(options.run_directory);
  if (options.resume == "auto") {
    request.resume = trainer::Resume::kAuto;
  } else if (options.resume == "none") {
    request.resume = trainer::Resume::kNone;
  } else {
    if (!std::filesystem::exists(options.resume)) {
      throw ConfigError("--resume: expected auto, none or a checkpoint's folder, found \"" +
                        options.resume + "\", which does not exist");
    }
    request.resume = trainer::Resume::kPath;
    request.resume_path = trainer::find_checkpoint(options.resume);
  }
  if (options.progress == "live") request.progress = trainer::ProgressMode::kLive;
  if (options.progress == "plain") request.progress = trainer::ProgressMode::kPlain;
  if (options.progress == "none") request.progress = trainer::ProgressMode::kNone;
  return request;
}

std::string run_dry(distributed::Communicator& communicator, const trainer::TrainRequest& request) {
  trainer::TrialFolder trial(request.run_directory);
  const SignalCleanup cleanup([&trial] { trial.remove(); });
  std::string description;
  try {
    description = trainer::dry_run(communicator, request, trial);
  } catch (...) {
    // Here, and not when `trial` goes: a signal that comes meanwhile waits for it.
    trial.remove();
    throw;
  }
  if (!trial.remove()) {
    throw ConfigError(request.run_directory.string() +
                      ": the dry run works, but its folder beside it could not be removed");
  }
  return description + "dry run     everything works; nothing was left behind\n";
}

int run_train(Session& session, const Options& options) {
  trainer::TrainRequest request = make_request(options);
  distributed::Communicator& communicator = session.communicator();
  Runtime runtime(communicator, request.config.runtime(),
                  rank_log_path(request.run_directory, communicator.rank()));
  request.heartbeat = runtime.heartbeat();
  request.log = make_rank_log(request.run_directory, communicator);
  const std::string table = rank_table(communicator, runtime.threads());
  if (communicator.rank() == 0 && request.progress != trainer::ProgressMode::kNone) {
    std::cerr << table << "\n";
  }
  if (options.dry_run) {
    const std::string description = run_dry(communicator, request);
    if (communicator.rank() == 0) std::cout << description;
    return kDone;
  }
  const trainer::TrainResult result = trainer::train(communicator, request);
  if (communicator.rank() == 0) {
    const bool stopped = result.outcome == trainer::TrainOutcome::kStopRequested;
    std::cerr << fmt::format("{} at step {}: {}{}\n", stopped ? "Stopped" : "Finished", result.step,
                             result.reason, stopped ? "; run the same command again to go on" : "");
  }
  return result.outcome == trainer::TrainOutcome::kFinished ? kDone : kStopped;
}

}  // namespace

void add_train_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand(
      "train", "Train a model; the same command line, submitted again, goes on where it stopped");
  auto options = std::make_shared<Options>();
  command->add_option("--config", options->config_file, "Configuration, protobuf text (configs/)")
      ->required();
  command
      ->add_option("--set", options->overrides,
                   "Override a field: --set training.learning_rate=1e-3 (repeatable)")
      ->take_all();
  command->add_option("--run-dir", options->run_directory,
                      "Run folder [runs/<name of the config>]");
  command
      ->add_option("--resume", options->resume,
                   "auto: newest checkpoint of the run folder; none: fresh start; or a checkpoint")
      ->capture_default_str();
  command->add_option("--progress", options->progress, "auto, live, plain or none")
      ->check(one_of({"auto", "live", "plain", "none"}))
      ->capture_default_str();
  command->add_flag("--dry-run", options->dry_run,
                    "Check everything, take two steps, print sizes and leave nothing behind");
  command->callback([options, &action] {
    action = [options](Session& session) { return run_train(session, *options); };
  });
}

}  // namespace sbm::launch
