#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "distributed/checkpoint/checkpoint.h"
#include "launch/command.h"
#include "launch/print_json.h"
#include "trainer/named_checkpoint.h"

namespace sbm::launch {
namespace {

namespace checkpoint = distributed::checkpoint;

struct Options {
  std::string folder;
  std::string out;
  bool json = false;
};

// People name a run or its checkpoints folder; both are clear. Nothing for any other folder.
std::optional<std::filesystem::path> folder_of_checkpoints(const std::filesystem::path& named) {
  const std::filesystem::path inner = named / "checkpoints";
  if (std::filesystem::is_directory(inner)) return inner;
  if (std::filesystem::is_directory(named) && !checkpoint::list(named).empty()) return named;
  return std::nullopt;
}

int run_list(const Options& options) {
  if (!std::filesystem::is_directory(options.folder)) {
    throw CheckpointError(options.folder +
                          ": expected a run folder or its checkpoints folder, found none");
  }
  const std::filesystem::path folder =
      folder_of_checkpoints(options.folder).value_or(options.folder);
  nlohmann::json all = nlohmann::json::array();
  for (const checkpoint::Found& found : checkpoint::list(folder)) {
    all.push_back({{"step", found.step}, {"folder", found.folder.string()}});
    if (!options.json) std::cout << fmt::format("{:>12}  {}\n", found.step, found.folder.string());
  }
  if (options.json) print_json({{"checkpoints", all}});
  return kDone;
}

// A part of the checkpoint that another program may have written. Throws CheckpointError.
nlohmann::json parse_part(const std::string& text, const std::string& name) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) throw CheckpointError(name + ": expected a JSON object, found none");
  return json;
}

nlohmann::json as_json(const checkpoint::Inspection& inspection,
                       const std::filesystem::path& folder) {
  nlohmann::json files = nlohmann::json::array();
  for (const auto& file : inspection.files) {
    files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"xxh3_128", file.hash}});
  }
  nlohmann::json tensors = nlohmann::json::array();
  for (const auto& tensor : inspection.tensors) {
    tensors.push_back({{"name", tensor.name},
                       {"dtype", tensor.data_type},
                       {"shape", tensor.shape},
                       {"file", tensor.file}});
  }
  return {{"step", inspection.step},
          {"sampler_version", inspection.sampler_version},
          {"data_fingerprint", inspection.data_fingerprint},
          {"configuration", inspection.configuration},
          {"trainer_state",
           parse_part(inspection.trainer_state, (folder / "trainer_state.json").string())},
          {"writer", parse_part(inspection.writer, (folder / "writer.json").string())},
          {"bytes", inspection.bytes},
          {"parameters", inspection.parameters},
          {"files", files},
          {"tensors", tensors}};
}

int run_inspect(const Options& options) {
  const std::filesystem::path folder = trainer::find_checkpoint(options.folder);
  const checkpoint::Inspection inspection = checkpoint::inspect(folder);
  if (options.json) {
    print_json(as_json(inspection, folder));
    return kDone;
  }
  std::cout << fmt::format(
      "{}\n  step              {}\n  parameters        {}\n  bytes             {}\n"
      "  sampler version   {}\n  data fingerprint  {}\n  files\n",
      folder.string(), inspection.step, inspection.parameters, inspection.bytes,
      inspection.sampler_version, inspection.data_fingerprint);
  for (const auto& file : inspection.files) {
    std::cout << fmt::format("    {:<40} {:>12}  {}\n", file.name, file.bytes, file.hash);
  }
  std::cout << "  tensors of the model\n";
  for (const auto& tensor : inspection.tensors) {
    if (!tensor.file.starts_with("model-")) continue;
    std::cout << fmt::format("    {:<60} {} [{}]\n", tensor.name, tensor.data_type,
                             fmt::join(tensor.shape, ", "));
  }
  return kDone;
}

int verify_one(const Options& options) {
  const std::filesystem::path folder = trainer::find_checkpoint(options.folder);
  checkpoint::verify(folder);
  if (options.json) {
    print_json({{"folder", folder.string()}, {"sound", true}});
  } else {
    std::cout << folder.string() << ": sound, every byte matches its checksum\n";
  }
  return kDone;
}

int verify_all(const Options& options, const std::filesystem::path& folder) {
  const std::vector<checkpoint::Found> found = checkpoint::list(folder);
  if (found.empty()) throw CheckpointError(folder.string() + ": expected a checkpoint, found none");
  nlohmann::json all = nlohmann::json::array();
  std::size_t damaged = 0;
  for (const checkpoint::Found& one : found) {
    std::string problem;
    try {
      checkpoint::verify(one.folder);
    } catch (const CheckpointError& error) {
      problem = error.what();
      ++damaged;
    }
    const bool sound = problem.empty();
    all.push_back({{"step", one.step},
                   {"folder", one.folder.string()},
                   {"sound", sound},
                   {"problem", problem}});
    if (!options.json) {
      std::cout << one.folder.string() << (sound ? ": sound" : ": damaged: " + problem) << "\n"
                << std::flush;  // each may take long
    }
  }
  if (options.json) {
    print_json({{"folder", folder.string()}, {"sound", damaged == 0}, {"checkpoints", all}});
    return damaged == 0 ? kDone : kCheckpointFailure;
  }
  if (damaged > 0) {
    throw CheckpointError(
        fmt::format("{}: {} of {} checkpoints damaged", folder.string(), damaged, found.size()));
  }
  std::cout << fmt::format("{} checkpoint{} verified, every byte matches its checksum\n",
                           found.size(), found.size() == 1 ? "" : "s");
  return kDone;
}

int run_verify(const Options& options) {
  const auto folder = folder_of_checkpoints(options.folder);
  return folder ? verify_all(options, *folder) : verify_one(options);
}

int run_export(const Options& options) {
  const std::filesystem::path folder = trainer::find_checkpoint(options.folder);
  checkpoint::export_model(folder, options.out);
  if (options.json) {
    print_json({{"checkpoint", folder.string()}, {"out", options.out}});
  } else {
    std::cout << options.out << "\n";
  }
  return kDone;
}

}  // namespace

void add_checkpoint_command(CLI::App& program, Action& action) {
  CLI::App* command =
      program.add_subcommand("checkpoint", "List, inspect, verify and export checkpoints");
  command->require_subcommand(1);
  auto options = std::make_shared<Options>();
  const auto add = [&](const char* name, const char* description, const char* folder,
                       int (*run)(const Options&)) {
    CLI::App* sub = command->add_subcommand(name, description);
    sub->add_option("folder", options->folder, folder)->required();
    sub->add_flag("--json", options->json, "One JSON object on stdout");
    sub->callback(
        [options, run, &action] { action = [options, run](Session&) { return run(*options); }; });
    return sub;
  };
  constexpr const char* kOne = "Run folder (its best checkpoint) or a checkpoint";
  add("list", "Complete checkpoints of a run, newest first", "Run folder or its checkpoints folder",
      run_list);
  add("inspect", "Show step, files and tensors", kOne, run_inspect);
  add("verify", "Check every byte", "Run folder (all its checkpoints) or a checkpoint", run_verify);
  add("export", "Write the model as one safetensors file", kOne, run_export)
      ->add_option("--out", options->out, "File to write, e.g. model.safetensors")
      ->required();
}

}  // namespace sbm::launch
