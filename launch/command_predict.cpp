#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "data/durable_file.h"
#include "launch/command.h"
#include "launch/runtime.h"
#include "trainer/checkpoint_evaluation.h"
#include "trainer/loaded_model.h"
#include "trainer/prediction.h"
#include "trainer/task_data.h"

namespace sbm::launch {
namespace {

struct Options {
  std::string checkpoint;
  std::string split = "test";
  std::string data_folder;
  std::string mask = "learned";
  std::string out;
  int draws = 0;
  int threads = 0;
  bool json = false;
};

/// Where the lines go on rank 0: a file that appears when it is whole, or stdout.
class Output {
 public:
  /// Throws ConfigError when `path` is taken or cannot be, before anything is computed for it.
  explicit Output(const std::filesystem::path& path) {
    if (path.empty()) return;
    if (std::filesystem::exists(std::filesystem::symlink_status(path))) {
      throw ConfigError("--out: expected a name that is free, found that " + path.string() +
                        " exists");
    }
    const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
    if (!std::filesystem::is_directory(folder)) {
      throw ConfigError("--out: expected a file in an existing folder, found that " +
                        folder.string() + " is none");
    }
    file_.emplace(path);
  }

  void write(std::string_view text) {
    if (file_) {
      file_->write({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    } else {
      std::cout << text;
    }
  }

  void finish() {
    if (file_) file_->commit();
  }

 private:
  std::optional<data::DurableFile> file_;
};

void summarise(const trainer::LoadedModel& model, const trainer::LoadRequest& request,
               const Options& options) {
  const std::uint64_t samples = model.dataset().size();
  if (options.json) {
    const nlohmann::json summary = {{"task", model.dataset().task()},
                                    {"split", model.dataset().split()},
                                    {"checkpoint", request.checkpoint.string()},
                                    {"step", model.step()},
                                    {"samples", samples},
                                    {"out", options.out}};
    std::cout << summary.dump() << "\n";
  } else if (!options.out.empty()) {
    std::cout << fmt::format("{} {}: {} samples predicted by {} in {}\n", model.dataset().task(),
                             model.dataset().split(), samples, request.checkpoint.string(),
                             options.out);
  }
}

int run_predict(Session& session, const Options& options) {
  if (options.json && options.out.empty()) {
    throw ConfigError(
        "--json: expected --out with it, found none; the predictions themselves "
        "would be on stdout");
  }
  const trainer::MaskControl mask = trainer::parse_mask_control(options.mask);
  trainer::LoadRequest request;
  request.checkpoint = trainer::find_checkpoint(options.checkpoint);
  request.split = options.split;
  request.data_folder = options.data_folder;
  // <run>/checkpoints/step-N: the run folder is two up.
  request.generated_data_root = trainer::generated_data_root(
      std::filesystem::absolute(request.checkpoint).parent_path().parent_path());
  request.message = [](const std::string& text) { std::cerr << text << "\n"; };

  distributed::Communicator& communicator = session.communicator();
  std::optional<Output> output;
  if (communicator.rank() == 0) output.emplace(options.out);
  trainer::Runtime settings;
  settings.set_threads(options.threads);
  Runtime runtime(communicator, settings);
  const auto heartbeat = runtime.heartbeat();
  const trainer::LoadedModel model(communicator, request);
  const trainer::Training& training = model.config().training();
  const trainer::EvaluationOptions evaluation{
      .micro_batch = training.micro_batch_size(),
      .max_length = model.config().model().max_length(),
      .seed = training.seed(),
      .draws = options.draws > 0 ? options.draws : training.evaluation_draws(),
      .mask = mask,
      .heartbeat = [&] { heartbeat(model.step(), "prediction"); }};
  trainer::predict(communicator, model.encoder(), model.dataset(), model.label_names(), evaluation,
                   [&output](std::string_view lines) { output->write(lines); });
  if (!output) return kDone;
  output->finish();
  summarise(model, request, options);
  return kDone;
}

}  // namespace

void add_predict_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand(
      "predict",
      "Predict every sample of a split, labelled or not, a JSON object a line; works under mpirun");
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
  command->add_option("--out", options->out, "File to make, one that is not there yet [stdout]");
  command->add_flag("--json", options->json,
                    "One JSON object about the whole on stdout; needs --out");
  command->callback([options, &action] {
    action = [options](Session& session) { return run_predict(session, *options); };
  });
}

}  // namespace sbm::launch
