#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "data/build_folder.h"
#include "data/dataset.h"
#include "data/stand_in.h"
#include "launch/command.h"
#include "launch/print_json.h"
#include "launch/signal_cleanup.h"
#include "trainer/config.h"
#include "trainer/loader_benchmark.h"

namespace sbm::launch {
namespace {

/// What the loader should hand out for each token that training eats.
constexpr double kGoal = 20.0;

struct Options {
  std::vector<std::string> config_files;
  std::vector<std::string> overrides;
  std::vector<std::string> data_folders;
  std::string work_directory = ".";
  double seconds = 2.0;
  std::int64_t stand_in_tokens = std::int64_t{1} << 26;
  bool json = false;
};

/// Where stand-ins are written; gone at the end, and when a signal ends the process.
class StandInFolder {
 public:
  explicit StandInFolder(const std::filesystem::path& directory)
      : folder_(std::filesystem::absolute(directory) / "loader-bench"), cleanup_([this] {
          std::error_code ignored;
          std::filesystem::remove_all(folder_.path(), ignored);
        }) {}

  /// An empty folder of this name in it.
  [[nodiscard]] std::filesystem::path make(const std::string& name) const {
    std::filesystem::path path = folder_.path() / name;
    std::error_code error;
    std::filesystem::create_directory(path, error);
    if (error) throw DataError(path.string() + ": cannot create: " + error.message());
    return path;
  }

 private:
  data::BuildFolder folder_;
  SignalCleanup cleanup_;
};

struct Measured {
  std::string config{};
  std::string task{};
  std::string data{};  ///< a folder, or "" for a stand-in
  trainer::LoaderTimes times{};
};

nlohmann::json as_json(const std::optional<double>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

nlohmann::json as_json(const Measured& measured) {
  const trainer::LoaderTimes& times = measured.times;
  return {{"config", measured.config},
          {"task", measured.task},
          {"data", measured.data.empty() ? nlohmann::json(nullptr) : nlohmann::json(measured.data)},
          {"samples", times.samples},
          {"pass_tokens", times.pass_tokens},
          {"cold_tokens_per_second", as_json(times.cold)},
          {"still_cached", times.still_cached},
          {"warm_tokens_per_second", times.warm},
          {"training_tokens_per_second", times.training},
          {"ratio", times.ratio},
          {"cold_ratio", as_json(times.cold_ratio)}};
}

std::string in_millions(const std::optional<double>& rate) {
  return rate ? fmt::format("{:.1f} M/s", *rate / 1e6) : "not cold";
}

std::string as_row(const Measured& measured) {
  const trainer::LoaderTimes& times = measured.times;
  const double least = times.cold_ratio ? std::min(*times.cold_ratio, times.ratio) : times.ratio;
  return fmt::format("{:<20}{:>10}{:>9}{:>14}{:>14}{:>12.1f} k/s{:>11.0f} x{:>11}{}\n",
                     measured.task, measured.data.empty() ? "stand-in" : "files", times.samples,
                     in_millions(times.cold), in_millions(times.warm), times.training / 1e3,
                     times.ratio,
                     times.cold_ratio ? fmt::format("{:.0f} x", *times.cold_ratio) : "",
                     least < kGoal ? "  below the goal" : "");
}

std::map<std::string, std::filesystem::path> folders_by_task(const Options& options) {
  std::map<std::string, std::filesystem::path> folders;
  for (const std::string& folder : options.data_folders) {
    const std::string task = data::Dataset::open(folder, "train").task();
    if (!folders.emplace(task, folder).second) {
      throw ConfigError(folder + ": expected one folder a task, found a second one of " + task);
    }
  }
  return folders;
}

int run_loader(const Options& options) {
  std::vector<trainer::Config> configs;
  for (const std::string& file : options.config_files) {
    configs.push_back(trainer::load_config(file, options.overrides));
  }
  const auto folders = folders_by_task(options);
  for (const auto& [task, folder] : folders) {
    if (std::none_of(configs.begin(), configs.end(), [&task = task](const trainer::Config& config) {
          return config.task().name() == task;
        })) {
      throw ConfigError(folder.string() + ": expected data of a task of --config, found " + task);
    }
  }
  std::optional<StandInFolder> stand_ins;
  at::set_num_threads(1);
  nlohmann::json results = nlohmann::json::array();
  if (!options.json) {
    std::cout << fmt::format(
        "Tokens a second of one core, goal: at least {:g} times what training eats\n"
        "{:<20}{:>10}{:>9}{:>14}{:>14}{:>16}{:>13}{:>11}\n",
        kGoal, "task", "data", "samples", "cold", "warm", "training", "warm ratio", "cold");
  }
  for (std::size_t i = 0; i < configs.size(); ++i) {
    const trainer::Config& config = configs[i];
    Measured measured{.config = options.config_files[i], .task = config.task().name()};
    std::filesystem::path folder;
    if (const auto found = folders.find(measured.task); found != folders.end()) {
      measured.data = found->second.string();
      folder = found->second;
    } else {
      if (!stand_ins) stand_ins.emplace(options.work_directory);
      folder = stand_ins->make(std::to_string(i));
      // What the builder of such data was to cut them to.
      const std::int64_t parts = measured.task == "lra/retrieval" ? 2 : 1;
      data::write_stand_in(folder, measured.task,
                           {.tokens = static_cast<std::uint64_t>(options.stand_in_tokens),
                            .longest = parts * config.model().max_length()});
    }
    measured.times = trainer::time_loader(config, folder, options.seconds);
    if (measured.data.empty()) {
      std::error_code ignored;  // it goes with the rest at the latest
      std::filesystem::remove_all(folder, ignored);
    }
    if (options.json) {
      results.push_back(as_json(measured));
    } else {
      std::cout << as_row(measured) << std::flush;
    }
  }
  if (options.json) {
    print_json({{"goal", kGoal}, {"seconds", options.seconds}, {"results", results}});
  }
  return kDone;
}

}  // namespace

void add_bench_loader_command(CLI::App& bench_command, Action& action) {
  CLI::App* command = bench_command.add_subcommand(
      "loader",
      "Tokens a second that the loader hands out from shards, cold and warm, beside what training "
      "of the same configuration eats, on one core");
  auto options = std::make_shared<Options>();
  command
      ->add_option("--config", options->config_files,
                   "Configurations, one measurement each (configs/lra/*.textproto)")
      ->required();
  command->add_option("--set", options->overrides, "Override a field of every configuration")
      ->take_all()
      ->expected(1);
  command->add_option("--data", options->data_folders,
                      "Folders made by `sbm data build`; other tasks get random tokens of the "
                      "published sizes");
  command
      ->add_option("--work-dir", options->work_directory,
                   "Where those are written meanwhile, on the disk to be measured")
      ->capture_default_str();
  command->add_option("--seconds", options->seconds, "Processor time of each measurement")
      ->check(CLI::Range(0.001, 3600.0))
      ->capture_default_str();
  command
      ->add_option("--stand-in-tokens", options->stand_in_tokens, "Random tokens a task, at most")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40))
      ->capture_default_str();
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->callback(
      [options, &action] { action = [options](Session&) { return run_loader(*options); }; });
}

}  // namespace sbm::launch
