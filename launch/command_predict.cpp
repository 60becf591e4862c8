#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "launch/command.h"
#include "launch/model_options.h"
#include "launch/print_json.h"
#include "launch/runtime.h"
#include "trainer/loaded_model.h"
#include "trainer/mask_control.h"
#include "trainer/output_file.h"
#include "trainer/prediction.h"
#include "trainer/submission.h"

namespace sbm::launch {
namespace {

struct Options {
  ModelOptions model;
  std::string out;
  std::string submission;
  bool json = false;
};

/// Where the lines go on rank 0: a file that appears when it is whole, or stdout.
class Output {
 public:
  /// Throws ConfigError, naming the option, when `path` is taken or cannot be, before anything is
  /// computed for it.
  Output(const std::string& option, const std::filesystem::path& path) {
    if (path.empty()) return;
    std::error_code error;
    if (std::filesystem::exists(std::filesystem::symlink_status(path, error))) {
      throw ConfigError(option + ": expected a name that is free, found that " + path.string() +
                        " exists");
    }
    const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
    if (!std::filesystem::is_directory(folder, error)) {
      throw ConfigError(option + ": expected a file in an existing folder, found that " +
                        folder.string() + " is none");
    }
    file_.emplace(path);
  }

  void write(std::string_view text) {
    if (file_) {
      file_->write(text);
    } else {
      std::cout << text;
    }
  }

  void finish() {
    if (file_) file_->commit();
  }

 private:
  std::optional<trainer::OutputFile> file_;
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
  const bool submission = !options.submission.empty();
  if (options.json && options.out.empty() && !submission) {
    throw ConfigError(
        "--json: expected --out or --submission with it, found neither; the predictions "
        "themselves would be on stdout");
  }
  const trainer::MaskControl mask = trainer::parse_mask_control(options.model.mask);
  const trainer::LoadRequest request = load_request(options.model);
  distributed::Communicator& communicator = session.communicator();
  const bool first = communicator.rank() == 0;
  std::optional<Output> output;
  if (first && !submission) output.emplace("--out", options.out);
  Runtime runtime(communicator, runtime_settings(options.model));
  const auto heartbeat = runtime.heartbeat();
  const trainer::LoadedModel model(communicator, request);
  trainer::EvaluationOptions evaluation = model.evaluation_options(options.model.draws, mask);
  evaluation.heartbeat = [&] { heartbeat(model.step(), "prediction"); };
  std::filesystem::path out = options.out;
  if (submission) {
    out = std::filesystem::path(options.submission) /
          trainer::submission_name(model.dataset().task(), model.dataset().split());
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
  add_model_options(*command, options->model);
  CLI::Option* out = command->add_option("--out", options->out,
                                         "File to make, one that is not there yet [stdout]");
  command
      ->add_option("--submission", options->submission,
                   "Folder for the file that the server of GLUE takes, such as CoLA.tsv")
      ->excludes(out);
  command->add_flag("--json", options->json,
                    "One JSON object about the whole on stdout; needs --out or --submission");
  command->callback([options, &action] {
    action = [options](Session& session) { return run_predict(session, *options); };
  });
}

}  // namespace sbm::launch
