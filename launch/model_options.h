#pragma once

#include <CLI/App.hpp>
#include <optional>
#include <string>
#include <vector>

#include "trainer/config.pb.h"
#include "trainer/loaded_model.h"

namespace sbm::launch {

/// What every command asks that runs a checkpoint's model on a split of a data set.
struct ModelOptions {
  std::vector<std::string> checkpoints;
  std::string split = "test";
  std::string data_folder;
  std::string mask = "learned";
  std::optional<int> draws;
  int threads = 0;
};

/// How many checkpoints a command takes.
enum class Checkpoints { kOne, kSeveral };

/// Declares them; `options` outlives the command.
void add_model_options(CLI::App& command, ModelOptions& options, Checkpoints number);

/// A model and the data that are meant. Throws CheckpointError when there is no such checkpoint.
trainer::LoadRequest load_request(const ModelOptions& options, const std::string& checkpoint);

/// --threads as a configuration's runtime settings.
trainer::Runtime runtime_settings(const ModelOptions& options);

}  // namespace sbm::launch
