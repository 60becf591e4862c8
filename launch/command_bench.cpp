#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <cstdint>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "launch/attention_goals.h"
#include "launch/command.h"
#include "launch/growth_chart.h"
#include "launch/print_json.h"
#include "trainer/attention_benchmark.h"

namespace sbm::launch {
namespace {

struct AttentionOptions {
  trainer::AttentionSizes sizes;
  std::vector<double> densities = {0.25, 0.1, 0.05, 0.01, 0.001};
  int threads = 1;
  int repeats = 9;
  bool published = false;
  bool bf16 = false;
  bool sweep = false;
  std::string svg;  ///< file for the chart of the sweep; empty: none
  bool calibrate = false;
  bool goals = false;
  double edges_per_row = 16.0;
  bool json = false;
};

// Where tiles may begin to win; the last is every cell.
const std::vector<double> kCalibrationDensities = {0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0};

// Each twice the one before.
const std::vector<std::int64_t> kSweepLengths = {2048, 4096, 8192, 16384, 32768, 65536};

std::string as_mebibytes(const std::optional<std::int64_t>& bytes) {
  return bytes ? fmt::format("{:.1f} MiB", static_cast<double>(*bytes) / (1024.0 * 1024.0))
               : "unknown";
}

nlohmann::json as_json(const std::optional<std::int64_t>& bytes) {
  return bytes ? nlohmann::json(*bytes) : nlohmann::json(nullptr);
}

std::string as_row(const trainer::AttentionTimes& times) {
  std::string row =
      fmt::format("{:>9.2f} %{:>12.1f} ms{:>12.1f} ms{:>10.3f}{:>15}", 100.0 * times.density,
                  1000.0 * times.sbm_seconds, 1000.0 * times.full_seconds, times.ratio,
                  as_mebibytes(times.peak_bytes));
  if (times.published) {
    row += fmt::format("{:>12.1f} ms{:>8.1f} x{:>15}", 1000.0 * times.published->seconds,
                       times.published->ratio, as_mebibytes(times.published->peak_bytes));
  }
  if (times.bf16) {
    row += fmt::format("{:>12.1f} ms{:>10.3f}{:>10.3f}", 1000.0 * times.bf16->seconds,
                       times.bf16->ratio, times.bf16->to_float);
  }
  return row + "\n";
}

nlohmann::json as_json(const trainer::AttentionTimes& times, double mean_probability) {
  nlohmann::json published = nullptr;
  if (times.published) {
    published = {{"seconds", times.published->seconds},
                 {"ratio", times.published->ratio},
                 {"peak_bytes", as_json(times.published->peak_bytes)}};
  }
  nlohmann::json bf16 = nullptr;
  if (times.bf16) {
    bf16 = {{"seconds", times.bf16->seconds},
            {"ratio", times.bf16->ratio},
            {"to_float", times.bf16->to_float}};
  }
  return {{"mean_probability", mean_probability},
          {"density", times.density},
          {"sbm_seconds", times.sbm_seconds},
          {"full_seconds", times.full_seconds},
          {"ratio", times.ratio},
          {"input_bytes", times.input_bytes},
          {"peak_bytes", as_json(times.peak_bytes)},
          {"state_bytes", as_json(times.state_bytes)},
          {"published", published},
          {"bf16", bf16}};
}

nlohmann::json as_json(const AttentionOptions& options) {
  const trainer::AttentionSizes& sizes = options.sizes;
  return {{"batch", sizes.batch},       {"heads", sizes.heads},       {"head_dim", sizes.head_dim},
          {"clusters", sizes.clusters}, {"threads", options.threads}, {"repeats", options.repeats}};
}

/// Writes the whole file or throws.
void write_chart(const AttentionOptions& options, const std::vector<trainer::LengthTime>& times) {
  const trainer::AttentionSizes& sizes = options.sizes;
  std::ofstream file(options.svg, std::ios::binary);
  file << growth_chart(
      times, fmt::format("A step at {:g} edges a row: {} heads of {}, {} clusters, {} thread{}",
                         options.edges_per_row, sizes.batch * sizes.heads, sizes.head_dim,
                         sizes.clusters, options.threads, options.threads == 1 ? "" : "s"));
  file.close();
  if (!file) throw ConfigError(options.svg + ": expected a file that can be written");
}

int run_calibration(const AttentionOptions& options) {
  const trainer::AttentionSizes& sizes = options.sizes;
  const std::vector<trainer::PathTimes> times =
      trainer::time_paths(sizes, kCalibrationDensities, options.repeats);
  const double dense_from = trainer::crossing(times);
  if (options.json) {
    nlohmann::json answer = as_json(options);
    answer["tokens"] = sizes.tokens;
    answer["dense_from"] = dense_from;
    answer["results"] = nlohmann::json::array();
    for (const trainer::PathTimes& time : times) {
      answer["results"].push_back({{"density", time.density},
                                   {"sparse_seconds", time.sparse_seconds},
                                   {"dense_seconds", time.dense_seconds},
                                   {"ratio", time.ratio}});
    }
    print_json(answer);
    return kDone;
  }
  std::cout << fmt::format("{:>11}{:>15}{:>15}{:>10}\n", "density", "edges", "tiles", "ratio");
  for (const trainer::PathTimes& time : times) {
    std::cout << fmt::format("{:>9.2f} %{:>12.1f} ms{:>12.1f} ms{:>10.3f}\n", 100.0 * time.density,
                             1000.0 * time.sparse_seconds, 1000.0 * time.dense_seconds, time.ratio);
  }
  std::cout << fmt::format(
      "For runs of these sizes on machines like this one: --set "
      "model.attention.dense_from={:.2f}\n",
      dense_from);
  return kDone;
}

int run_sweep(const AttentionOptions& options) {
  const trainer::AttentionSizes& sizes = options.sizes;
  const std::vector<trainer::LengthTime> times =
      trainer::time_growth(sizes, kSweepLengths, options.edges_per_row, options.repeats);
  if (!options.svg.empty()) write_chart(options, times);
  nlohmann::json results = nlohmann::json::array();
  if (!options.json) {
    std::cout << fmt::format(
        "{} edges a row, batch {}, {} heads of {}, {} clusters, {} thread{}; medians of {}\n"
        "{:>9}{:>11}{:>15}{:>10}{:>15}\n",
        options.edges_per_row, sizes.batch, sizes.heads, sizes.head_dim, sizes.clusters,
        options.threads, options.threads == 1 ? "" : "s", options.repeats, "tokens", "density",
        "SBM step", "growth", "SBM peak");
  }
  for (std::size_t i = 0; i < times.size(); ++i) {
    const trainer::LengthTime& time = times[i];
    const double growth = i == 0 ? 0.0 : time.seconds / times[i - 1].seconds;
    results.push_back({{"tokens", time.tokens},
                       {"density", time.density},
                       {"sbm_seconds", time.seconds},
                       {"growth", i == 0 ? nlohmann::json(nullptr) : nlohmann::json(growth)},
                       {"peak_bytes", as_json(time.peak_bytes)}});
    if (options.json) continue;
    std::cout << fmt::format("{:>9}{:>9.3f} %{:>12.1f} ms{:>10}{:>15}\n", time.tokens,
                             100.0 * time.density, 1000.0 * time.seconds,
                             i == 0 ? "" : fmt::format("{:.2f} x", growth),
                             as_mebibytes(time.peak_bytes));
  }
  if (options.json) {
    nlohmann::json answer = as_json(options);
    answer["edges_per_row"] = options.edges_per_row;
    answer["results"] = results;
    print_json(answer);
  }
  return kDone;
}

int run_attention(const AttentionOptions& options) {
  at::set_num_threads(options.threads);
  if (options.goals) return run_attention_goals(options.repeats, options.json);
  if (options.sweep) return run_sweep(options);
  if (options.calibrate) return run_calibration(options);
  const trainer::AttentionSizes& sizes = options.sizes;
  if (!options.json) {
    std::cout << fmt::format(
        "{} tokens, batch {}, {} heads of {}, {} clusters, {} thread{}; medians of {}\n"
        "{:>11}{:>15}{:>15}{:>10}{:>15}{}{}\n",
        sizes.tokens, sizes.batch, sizes.heads, sizes.head_dim, sizes.clusters, options.threads,
        options.threads == 1 ? "" : "s", options.repeats, "density", "SBM step", "full step",
        "ratio", "SBM peak",
        options.published ? fmt::format("{:>15}{:>10}{:>15}", "published", "to SBM", "its peak")
                          : "",
        options.bf16 ? fmt::format("{:>15}{:>10}{:>10}", "bf16 step", "ratio", "to SBM") : "");
  }
  nlohmann::json results = nlohmann::json::array();
  for (const double density : options.densities) {
    const trainer::AttentionTimes times =
        trainer::time_attention(sizes, density, options.repeats, options.published, options.bf16);
    if (options.json) {
      results.push_back(as_json(times, density));
    } else {
      std::cout << as_row(times) << std::flush;  // a row takes seconds
    }
  }
  if (options.json) {
    nlohmann::json answer = as_json(options);
    answer["tokens"] = sizes.tokens;
    answer["results"] = results;
    print_json(answer);
  }
  return kDone;
}

}  // namespace

void add_bench_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand("bench", "Measure parts of the program");
  command->require_subcommand(1);
  add_bench_loader_command(*command, action);
  CLI::App* attention = command->add_subcommand(
      "attention",
      "Time and peak memory of one step of SBM attention beside LibTorch's full attention, fp32");
  auto options = std::make_shared<AttentionOptions>();
  const auto positive = [](CLI::Option* option) {
    option->check(CLI::Range(1, 1 << 20))->capture_default_str();
  };
  CLI::Option* tokens =
      attention->add_option("--tokens", options->sizes.tokens, "Queries and keys");
  positive(tokens);
  positive(attention->add_option("--batch", options->sizes.batch, "Samples"));
  positive(attention->add_option("--heads", options->sizes.heads));
  positive(attention->add_option("--head-dim", options->sizes.head_dim));
  attention->add_option("--clusters", options->sizes.clusters)
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  CLI::Option* density =
      attention->add_option("--density", options->densities, "Mean probabilities of an edge")
          ->check(CLI::Range(0.0, 1.0))
          ->capture_default_str();
  attention->add_option("--threads", options->threads)
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  positive(attention->add_option("--repeats", options->repeats, "Medians are of so many"));
  CLI::Option* published =
      attention->add_flag("--published", options->published,
                          "The published dense method too, in plain LibTorch operations");
  CLI::Option* bf16 = attention->add_flag("--bf16-memberships", options->bf16,
                                          "Steps with model.attention.bf16_memberships too");
  CLI::Option* sweep = attention->add_flag("--sweep", options->sweep,
                                           "Growth of a step from 2,048 to 65,536 tokens instead");
  // Lengths and densities are the sweep's own, and the others would be passed over.
  sweep->excludes(tokens)->excludes(density)->excludes(published)->excludes(bf16);
  attention->add_option("--edges-per-row", options->edges_per_row, "Of --sweep, in the mean")
      ->check(CLI::Range(0.0, 2048.0))
      ->needs(sweep)
      ->capture_default_str();
  attention->add_option("--svg", options->svg, "A chart of --sweep as SVG, into this file")
      ->needs(sweep);
  CLI::Option* calibrate = attention->add_flag(
      "--calibrate", options->calibrate,
      "Suggest the share of edges from which heads of these sizes go by tiles on this machine");
  calibrate->excludes(density)->excludes(published)->excludes(bf16)->excludes(sweep);
  CLI::Option* goals = attention->add_flag(
      "--goals", options->goals, "All figures of docs/performance.md that have a goal, beside it");
  // The goals say of which sizes.
  for (CLI::Option* option : attention->get_options()) {
    const std::string name = option->get_name();
    if (name != "--goals" && name != "--repeats" && name != "--help") goals->excludes(option);
  }
  attention->add_flag("--json", options->json, "One JSON object on stdout");
  attention->callback(
      [options, &action] { action = [options](Session&) { return run_attention(*options); }; });
}

}  // namespace sbm::launch
