#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "launch/command.h"
#include "launch/model_options.h"
#include "launch/print_json.h"
#include "launch/runtime.h"
#include "trainer/checkpoint_evaluation.h"
#include "trainer/loaded_model.h"
#include "trainer/mask_control.h"
#include "trainer/task_metrics.h"

namespace sbm::launch {
namespace {

struct Options {
  ModelOptions model;
  bool json = false;
};

// One evaluation with what it was asked for.
struct Answer {
  const trainer::LoadedModel& model;
  const trainer::EvaluationOptions& options;
  std::filesystem::path checkpoint;
  trainer::CheckpointEvaluation evaluation;
};

nlohmann::json as_json(const Answer& answer) {
  const trainer::EvaluationRecord& record = answer.evaluation.record;
  nlohmann::json json = {{"task", answer.model.dataset().task()},
                         {"split", record.split},
                         {"checkpoint", answer.checkpoint.string()},
                         {"step", record.step},
                         {"mask", trainer::mask_control_name(answer.options.mask)},
                         {"draws", answer.options.draws},
                         {"samples", record.samples},
                         {"loss", record.loss},
                         {"metrics", record.metrics},
                         {"density", record.density},
                         {"density_with_self_loops", record.density_with_self_loops},
                         {"head_density", record.head_density}};
  if (answer.evaluation.majority_share) json["majority_share"] = *answer.evaluation.majority_share;
  return json;
}

std::string as_text(const Answer& answer) {
  const trainer::EvaluationRecord& record = answer.evaluation.record;
  const int draws = answer.options.draws;
  std::string text = fmt::format(
      "{} {}: {} samples, {} mask, {} draw{}\n  checkpoint   {}\n  loss         {:.4f}\n",
      answer.model.dataset().task(), record.split, record.samples,
      trainer::mask_control_name(answer.options.mask), draws, draws == 1 ? "" : "s",
      answer.checkpoint.string(), record.loss);
  for (const auto& [name, value] : record.metrics) {
    text += fmt::format("  {:<12} {}\n", name, trainer::metric_text(name, value));
  }
  if (answer.evaluation.majority_share) {
    text += fmt::format("  majority     {:.2f} %\n", 100.0 * *answer.evaluation.majority_share);
  }
  return text + fmt::format("  density      {:.2f} % drawn, {:.2f} % with self-loops\n",
                            100.0 * record.density, 100.0 * record.density_with_self_loops);
}

int run_eval(Session& session, const Options& options) {
  const trainer::MaskControl mask = trainer::parse_mask_control(options.model.mask);
  const trainer::LoadRequest request =
      load_request(options.model, options.model.checkpoints.front());
  distributed::Communicator& communicator = session.communicator();
  Runtime runtime(communicator, runtime_settings(options.model));
  const auto heartbeat = runtime.heartbeat();
  const trainer::LoadedModel model(communicator, request);
  trainer::EvaluationOptions evaluation = model.evaluation_options(options.model.draws, mask);
  evaluation.heartbeat = [&] { heartbeat(model.step(), "evaluation"); };
  const Answer answer{model, evaluation, request.checkpoint,
                      trainer::evaluate_checkpoint(communicator, model, evaluation)};
  if (communicator.rank() != 0) return kDone;
  if (options.json) {
    print_json(as_json(answer));
  } else {
    std::cout << as_text(answer);
  }
  return kDone;
}

}  // namespace

void add_eval_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand(
      "eval", "Evaluate a checkpoint on every sample of a split; works under mpirun too");
  auto options = std::make_shared<Options>();
  add_model_options(*command, options->model, Checkpoints::kOne);
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->callback([options, &action] {
    action = [options](Session& session) { return run_eval(session, *options); };
  });
}

}  // namespace sbm::launch
