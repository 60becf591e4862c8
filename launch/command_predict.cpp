#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "launch/command.h"
#include "launch/glue_submission.h"
#include "launch/model_options.h"
#include "launch/prediction_output.h"
#include "launch/print_json.h"
#include "launch/runtime.h"
#include "trainer/loaded_model.h"
#include "trainer/mask_control.h"
#include "trainer/prediction.h"
#include "trainer/submission.h"

namespace sbm::launch {
namespace {

struct Options {
  ModelOptions model;
  std::string out;
  std::string submission;
  std::string diagnostic;
  bool split_given = false;
  bool json = false;

  [[nodiscard]] bool archive() const {
    return std::filesystem::path(submission).extension() == ".zip";
  }
};

void summarise(const trainer::LoadedModel& model, const trainer::LoadRequest& request,
               const std::filesystem::path& out, bool json) {
  const std::uint64_t samples = model.dataset().size();
  if (json) {
    const nlohmann::json summary = {{"task", model.dataset().task()},
                                    {"split", model.dataset().split()},
                                    {"checkpoint", request.checkpoint.string()},
                                    {"step", model.step()},
                                    {"samples", samples},
                                    {"out", out.string()}};
    print_json(summary);
  } else if (!out.empty()) {
    std::cout << fmt::format("{} {}: {} samples predicted by {} in {}\n", model.dataset().task(),
                             model.dataset().split(), samples, request.checkpoint.string(),
                             out.string());
  }
}

int run_predict(Session& session, const Options& options) {
  if (options.archive()) {
    return write_glue_submission(session, {.model = options.model,
                                           .split_given = options.split_given,
                                           .diagnostic = options.diagnostic,
                                           .out = options.submission,
                                           .json = options.json});
  }
  if (options.model.checkpoints.size() > 1) {
    throw ConfigError("--checkpoint: expected one, or --submission FILE.zip with several, found " +
                      std::to_string(options.model.checkpoints.size()));
  }
  if (!options.diagnostic.empty()) {
    throw ConfigError("--diagnostic: expected --submission FILE.zip with it");
  }
  const bool submission = !options.submission.empty();
  if (options.json && options.out.empty() && !submission) {
    throw ConfigError(
        "--json: expected --out or --submission with it, found neither; the predictions "
        "themselves would be on stdout");
  }
  const trainer::MaskControl mask = trainer::parse_mask_control(options.model.mask);
  const trainer::LoadRequest request =
      load_request(options.model, options.model.checkpoints.front());
  distributed::Communicator& communicator = session.communicator();
  const bool first = communicator.rank() == 0;
  std::optional<PredictionOutput> output;
  if (first && !submission) output.emplace("--out", options.out);
  Runtime runtime(communicator, runtime_settings(options.model));
  const auto heartbeat = runtime.heartbeat();
  const trainer::LoadedModel model(communicator, request);
  trainer::EvaluationOptions evaluation = model.evaluation_options(options.model.draws, mask);
  evaluation.heartbeat = [&] { heartbeat(model.step(), "prediction"); };
  std::filesystem::path out = options.out;
  if (submission) {
    const trainer::SubmissionFile& file =
        trainer::submission_file(model.dataset().task(), model.dataset().split());
    out = std::filesystem::path(options.submission) / file.name;
    const std::string warning = trainer::check_submission_rows(file, model.dataset());
    if (first && !warning.empty()) std::cerr << "warning: " << warning << "\n";
    if (first) output.emplace("--submission", out);
    if (first) output->write(trainer::kSubmissionHeader);
  }
  trainer::predict(communicator, model.encoder(), model.dataset(), model.label_names(), evaluation,
                   [&](std::string_view lines) {
                     output->write(submission ? trainer::submission_rows(lines) : lines);
                   });
  if (!output) return kDone;
  output->finish();
  summarise(model, request, out, options.json);
  return kDone;
}

}  // namespace

void add_predict_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand(
      "predict",
      "Predict every sample of a split, labelled or not, a JSON object a line; works under mpirun");
  auto options = std::make_shared<Options>();
  add_model_options(*command, options->model, Checkpoints::kSeveral);
  CLI::Option* out = command->add_option("--out", options->out,
                                         "File to make, one that is not there yet [stdout]");
  command
      ->add_option("--submission", options->submission,
                   "Folder for the file that the server of GLUE takes, such as CoLA.tsv; or "
                   "FILE.zip for the files of all runs given as --checkpoint")
      ->excludes(out);
  command->add_option("--diagnostic", options->diagnostic,
                      "Data folder of AX, which the run of MNLI predicts into the archive");
  command->add_flag("--json", options->json,
                    "One JSON object about the whole on stdout; needs --out or --submission");
  command->callback([options, command, &action] {
    options->split_given = command->get_option("--split")->count() > 0;
    action = [options](Session& session) { return run_predict(session, *options); };
  });
}

}  // namespace sbm::launch
