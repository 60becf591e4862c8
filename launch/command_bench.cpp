#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <cstdint>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "launch/command.h"
#include "trainer/attention_benchmark.h"

namespace sbm::launch {
namespace {

struct AttentionOptions {
  trainer::AttentionSizes sizes;
  std::vector<double> densities = {0.25, 0.1, 0.05, 0.01, 0.001};
  int threads = 1;
  int repeats = 9;
  bool json = false;
};

std::string as_row(const trainer::AttentionTimes& times) {
  const std::string peak =
      times.peak_bytes
          ? fmt::format("{:.1f} MiB", static_cast<double>(*times.peak_bytes) / (1024.0 * 1024.0))
          : "unknown";
  return fmt::format("{:>9.2f} %{:>12.1f} ms{:>12.1f} ms{:>10.3f}{:>15}\n", 100.0 * times.density,
                     1000.0 * times.sbm_seconds, 1000.0 * times.full_seconds, times.ratio, peak);
}

nlohmann::json as_json(const trainer::AttentionTimes& times, double mean_probability) {
  return {{"mean_probability", mean_probability},
          {"density", times.density},
          {"sbm_seconds", times.sbm_seconds},
          {"full_seconds", times.full_seconds},
          {"ratio", times.ratio},
          {"input_bytes", times.input_bytes},
          {"peak_bytes",
           times.peak_bytes ? nlohmann::json(*times.peak_bytes) : nlohmann::json(nullptr)}};
}

int run_attention(const AttentionOptions& options) {
  at::set_num_threads(options.threads);
  const trainer::AttentionSizes& sizes = options.sizes;
  if (!options.json) {
    std::cout << fmt::format(
        "{} tokens, batch {}, {} heads of {}, {} clusters, {} thread{}; medians of {}\n"
        "{:>11}{:>15}{:>15}{:>10}{:>15}\n",
        sizes.tokens, sizes.batch, sizes.heads, sizes.head_dim, sizes.clusters, options.threads,
        options.threads == 1 ? "" : "s", options.repeats, "density", "SBM step", "full step",
        "ratio", "SBM peak");
  }
  nlohmann::json results = nlohmann::json::array();
  for (const double density : options.densities) {
    const trainer::AttentionTimes times = trainer::time_attention(sizes, density, options.repeats);
    if (options.json) {
      results.push_back(as_json(times, density));
    } else {
      std::cout << as_row(times) << std::flush;  // a row takes seconds
    }
  }
  if (options.json) {
    const nlohmann::json answer = {{"tokens", sizes.tokens},     {"batch", sizes.batch},
                                   {"heads", sizes.heads},       {"head_dim", sizes.head_dim},
                                   {"clusters", sizes.clusters}, {"threads", options.threads},
                                   {"repeats", options.repeats}, {"results", results}};
    std::cout << answer.dump() << "\n";
  }
  return kDone;
}

}  // namespace

void add_bench_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand("bench", "Measure parts of the program");
  command->require_subcommand(1);
  CLI::App* attention = command->add_subcommand(
      "attention",
      "Time and peak memory of one step of SBM attention beside LibTorch's full attention, fp32");
  auto options = std::make_shared<AttentionOptions>();
  const auto positive = [](CLI::Option* option) {
    option->check(CLI::Range(1, 1 << 20))->capture_default_str();
  };
  positive(attention->add_option("--tokens", options->sizes.tokens, "Queries and keys"));
  positive(attention->add_option("--batch", options->sizes.batch, "Samples"));
  positive(attention->add_option("--heads", options->sizes.heads));
  positive(attention->add_option("--head-dim", options->sizes.head_dim));
  attention->add_option("--clusters", options->sizes.clusters)
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  attention->add_option("--density", options->densities, "Mean probabilities of an edge")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  attention->add_option("--threads", options->threads)
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  positive(attention->add_option("--repeats", options->repeats, "Medians are of so many"));
  attention->add_flag("--json", options->json, "One JSON object on stdout");
  attention->callback(
      [options, &action] { action = [options](Session&) { return run_attention(*options); }; });
}

}  // namespace sbm::launch
