#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "launch/command.h"
#include "launch/runtime.h"
#include "trainer/checkpoint_evaluation.h"
#include "trainer/task_data.h"

namespace sbm::launch {
namespace {

struct Options {
  std::string checkpoint;
  std::string split = "test";
  std::string data_folder;
  std::string mask = "learned";
  int draws = 0;
  int threads = 0;
  bool json = false;
};

nlohmann::json as_json(const trainer::CheckpointEvaluation& evaluation, const Options& options,
                       const std::filesystem::path& checkpoint) {
  const trainer::EvaluationRecord& record = evaluation.record;
  return {{"task", evaluation.task},
          {"split", record.split},
          {"checkpoint", checkpoint.string()},
          {"step", record.step},
          {"mask", options.mask},
          {"draws", evaluation.draws},
          {"samples", record.samples},
          {"loss", record.loss},
          {"metrics", record.metrics},
          {"majority_share", evaluation.majority_share},
          {"density", record.density},
          {"density_with_self_loops", record.density_with_self_loops},
          {"head_density", record.head_density}};
}

std::string as_text(const trainer::CheckpointEvaluation& evaluation, const Options& options,
                    const std::filesystem::path& checkpoint) {
  const trainer::EvaluationRecord& record = evaluation.record;
  std::string text = fmt::format(
      "{} {}: {} samples, {} mask, {} draw{}\n  checkpoint   {}\n  loss         {:.4f}\n",
      evaluation.task, record.split, record.samples, options.mask, evaluation.draws,
      evaluation.draws == 1 ? "" : "s", checkpoint.string(), record.loss);
  for (const auto& [name, value] : record.metrics) {
    text += fmt::format("  {:<12} {:.2f} %\n", name, 100.0 * value);
  }
  return text + fmt::format(
                    "  majority     {:.2f} %\n  density      {:.2f} % drawn, {:.2f} % with "
                    "self-loops\n",
                    100.0 * evaluation.majority_share, 100.0 * record.density,
                    100.0 * record.density_with_self_loops);
}

int run_eval(Session& session, const Options& options) {
  trainer::CheckpointEvaluationRequest request;
  request.checkpoint = trainer::find_checkpoint(options.checkpoint);
  request.split = options.split;
  request.data_folder = options.data_folder;
  request.mask = trainer::parse_mask_control(options.mask);
  if (options.draws > 0) request.draws = options.draws;
  // <run>/checkpoints/step-N: the run folder is two up.
  request.generated_data_root = trainer::generated_data_root(
      std::filesystem::absolute(request.checkpoint).parent_path().parent_path());

  distributed::Communicator& communicator = session.communicator();
  trainer::Runtime settings;
  settings.set_threads(options.threads);
  Runtime runtime(communicator, settings);
  request.heartbeat = runtime.heartbeat();
  request.message = [](const std::string& text) { std::cerr << text << "\n"; };
  const trainer::CheckpointEvaluation evaluation =
      trainer::evaluate_checkpoint(communicator, request);
  if (communicator.rank() != 0) return kDone;
  if (options.json) {
    std::cout << as_json(evaluation, options, request.checkpoint).dump() << "\n";
  } else {
    std::cout << as_text(evaluation, options, request.checkpoint);
  }
  return kDone;
}

}  // namespace

void add_eval_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand(
      "eval", "Evaluate a checkpoint on every sample of a split; works under mpirun too");
  auto options = std::make_shared<Options>();
  command
      ->add_option("--checkpoint", options->checkpoint,
                   "Run folder (its best checkpoint) or a checkpoint's folder")
      ->required();
  command->add_option("--split", options->split, "train, validation or test")
      ->capture_default_str();
  command->add_option("--data", options->data_folder, "Data folder [the one the run used]");
  command
      ->add_option("--mask", options->mask,
                   "learned, or a control with other masks: random, rank1, full")
      ->capture_default_str();
  command
      ->add_option("--draws", options->draws,
                   "Masks drawn a sample, probabilities averaged [training.evaluation_draws]")
      ->check(CLI::Range(1, 1000));
  command->add_option("--threads", options->threads, "Threads a rank [its share of the processors]")
      ->check(CLI::Range(1, 4096));
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->callback([options, &action] {
    action = [options](Session& session) { return run_eval(session, *options); };
  });
}

}  // namespace sbm::launch
