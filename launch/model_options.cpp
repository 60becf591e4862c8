#include "launch/model_options.h"

#include <CLI/Option.hpp>
#include <CLI/Validators.hpp>
#include <filesystem>
#include <iostream>

#include "launch/one_of.h"
#include "trainer/mask_control.h"
#include "trainer/named_checkpoint.h"
#include "trainer/task_data.h"

namespace sbm::launch {
namespace {

constexpr int kMostCheckpoints = 100;

}  // namespace

void add_model_options(CLI::App& command, ModelOptions& options, Checkpoints number) {
  command
      .add_option("--checkpoint", options.checkpoints,
                  "Run folder (its best checkpoint) or a checkpoint's folder")
      ->required()
      ->expected(1, number == Checkpoints::kOne ? 1 : kMostCheckpoints);
  command
      .add_option("--split", options.split, "train, validation, test, or what else the data have")
      ->capture_default_str();
  command.add_option("--data", options.data_folder, "Data folder [the one the run used]");
  command
      .add_option("--mask", options.mask,
                  "learned, or a control with other masks: random, rank1, full")
      ->check(one_of(trainer::mask_control_names()))
      ->capture_default_str();
  command
      .add_option("--draws", options.draws,
                  "Masks drawn a sample, probabilities averaged [training.evaluation_draws]")
      ->check(CLI::Range(1, 1000));
  command.add_option("--threads", options.threads, "Threads a rank [its share of the processors]")
      ->check(CLI::Range(1, 4096));
}

trainer::LoadRequest load_request(const ModelOptions& options, const std::string& checkpoint) {
  trainer::LoadRequest request;
  request.checkpoint = trainer::find_checkpoint(checkpoint);
  request.split = options.split;
  request.data_folder = options.data_folder;
  // <run>/checkpoints/step-N: the run folder is two up.
  request.generated_data_root = trainer::generated_data_root(
      std::filesystem::absolute(request.checkpoint).parent_path().parent_path());
  request.message = [](const std::string& text) { std::cerr << text << "\n"; };
  return request;
}

trainer::Runtime runtime_settings(const ModelOptions& options) {
  trainer::Runtime settings;
  settings.set_threads(options.threads);
  return settings;
}

}  // namespace sbm::launch
