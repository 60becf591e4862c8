#include "launch/attention_goals.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "kernels/cpu/target.h"
#include "launch/command.h"
#include "launch/exit_code.h"
#include "launch/own_process.h"
#include "launch/print_json.h"

namespace sbm::launch {
namespace {

struct Goal {
  std::string name;
  double bound = 0.0;
  bool at_most = true;  ///< else at least
  double found = 0.0;

  [[nodiscard]] bool reached() const { return at_most ? found <= bound : found >= bound; }
};

/// Runs the measurements and keeps what they answered.
class Goals {
 public:
  Goals(int repeats, bool as_json) : repeats_(repeats), as_json_(as_json) {}

  nlohmann::json measure(std::string_view options, const std::string& target = "") {
    std::vector<std::string> arguments = {"bench", "attention", "--json"};
    std::size_t begin = 0;
    while (begin < options.size()) {
      const std::size_t end = std::min(options.find(' ', begin), options.size());
      arguments.emplace_back(options.substr(begin, end - begin));
      begin = end + 1;
    }
    if (options.find("--repeats") == std::string_view::npos) {
      arguments.push_back(fmt::format("--repeats={}", repeats_));
    }
    nlohmann::json answer = nlohmann::json::parse(run_this_program(arguments, target));
    runs_.push_back({{"arguments", arguments}, {"target", target}, {"answer", answer}});
    return answer;
  }

  void add(Goal goal) {
    if (!as_json_) {
      std::cout << fmt::format("{:<58}{:>10}{:>10.3f}  {}\n", goal.name,
                               fmt::format("{} {:g}", goal.at_most ? "<=" : ">=", goal.bound),
                               goal.found, goal.reached() ? "reached" : "not reached")
                << std::flush;  // the next takes seconds
    }
    goals_.push_back({{"name", goal.name},
                      {"goal", goal.bound},
                      {"at_most", goal.at_most},
                      {"found", goal.found},
                      {"reached", goal.reached()}});
  }

  /// The ratios to full attention of one measurement, in the order of its densities; with `bf16`
  /// those of its steps with memberships in bfloat16.
  void add_ratios(const std::string& name, const nlohmann::json& answer,
                  const std::vector<double>& bounds, bool bf16 = false) {
    for (std::size_t i = 0; i < bounds.size(); ++i) {
      const nlohmann::json& result = answer["results"][i];
      add({.name = fmt::format("{}, {:g} %: time to full attention", name,
                               100.0 * result["mean_probability"].get<double>()),
           .bound = bounds[i],
           .found = (bf16 ? result["bf16"] : result)["ratio"].get<double>()});
    }
  }

  void note(const std::string& text) {
    if (!as_json_) std::cout << text << '\n';
    notes_.push_back(text);
  }

  void print() const {
    if (!as_json_) return;
    print_json({{"target", kernels::cpu::target_name()},
                {"repeats", repeats_},
                {"goals", goals_},
                {"notes", notes_},
                {"runs", runs_}});
  }

 private:
  int repeats_;
  bool as_json_;
  nlohmann::json goals_ = nlohmann::json::array();
  nlohmann::json runs_ = nlohmann::json::array();
  nlohmann::json notes_ = nlohmann::json::array();
};

double first(const nlohmann::json& answer, const char* field) {
  return answer["results"][0][field].get<double>();
}

/// Of this process's peaks, which /proc may not tell.
void add_memory(Goals& goals) {
  const nlohmann::json answer =
      goals.measure("--tokens=16384 --batch=1 --heads=1 --clusters=32 --density=0.01 --repeats=1");
  const nlohmann::json& result = answer["results"][0];
  if (result["peak_bytes"].is_null() || result["state_bytes"].is_null()) {
    goals.note("memory: not told by this system");
    return;
  }
  const double cells = 16384.0 * 16384.0;
  const double edges = result["density"].get<double>() * cells;
  goals.note(fmt::format(
      "16,384 tokens, 1 %: {:.1f} bytes an edge kept for the backward, peak {:.1f} MiB; "
      "one float a cell would be {:.0f} MiB",
      result["state_bytes"].get<double>() / edges, result["peak_bytes"].get<double>() / 0x1p20,
      4.0 * cells / 0x1p20));
}

}  // namespace

int run_attention_goals(int repeats, bool as_json) {
  Goals goals(repeats, as_json);
  const nlohmann::json few = goals.measure("--clusters=32");
  goals.add_ratios("2,048 tokens, k = 32", few, {0.30, 0.16, 0.10, 0.045, 0.022});
  const nlohmann::json many = goals.measure("--clusters=128 --bf16-memberships");
  goals.add_ratios("2,048 tokens, k = 128", many, {0.50, 0.30, 0.19, 0.11, 0.08});
  goals.add_ratios("2,048 tokens, k = 128, bf16", many, {0.45, 0.27, 0.17, 0.09, 0.05}, true);
  goals.add_ratios("2,048 tokens, heads of 64, k = 32",
                   goals.measure("--clusters=32 --head-dim=64 --density 0.25 0.01"), {0.30, 0.035});
  goals.add_ratios("8,192 tokens, k = 32",
                   goals.measure("--tokens=8192 --batch=1 --clusters=32 --density 0.25 0.01 0.001"),
                   {0.35, 0.05, 0.012});
  const nlohmann::json growth = goals.measure("--sweep --batch=1 --clusters=32");
  for (const nlohmann::json& result : growth["results"]) {
    if (result["growth"].is_null()) continue;
    goals.add({.name = fmt::format("16 edges a row, {} tokens: time to half as many",
                                   result["tokens"].get<std::int64_t>()),
               .bound = 2.15,
               .found = result["growth"].get<double>()});
  }
  const nlohmann::json published =
      goals.measure("--batch=4 --clusters=32 --density=0.25 --published")["results"][0];
  goals.add({.name = "published method to ours, 25 %, k = 32: time",
             .bound = 20.0,
             .at_most = false,
             .found = published["published"]["ratio"].get<double>()});
  if (!published["peak_bytes"].is_null() && !published["published"]["peak_bytes"].is_null()) {
    goals.add({.name = "published method to ours, 25 %, k = 32: peak memory",
               .bound = 50.0,
               .at_most = false,
               .found = published["published"]["peak_bytes"].get<double>() /
                        published["peak_bytes"].get<double>()});
  }
  if (std::string_view(kernels::cpu::target_name()).starts_with("AVX3")) {
    // Full attention takes no notice of the target, so its time takes out the machine's drift.
    const nlohmann::json narrow = goals.measure("--clusters=32 --density=0.25", "avx2");
    goals.add({.name = "AVX2 to AVX-512, 25 %, k = 32: time",
               .bound = 2.2,
               .found = first(narrow, "ratio") / first(few, "ratio")});
  } else {
    goals.note("AVX2 to AVX-512: no AVX-512 here");
  }
  if (std::thread::hardware_concurrency() > 1) {
    const nlohmann::json shared = goals.measure("--clusters=32 --density=0.25 --threads=2");
    goals.add({.name = "two threads, 25 %, k = 32: speed to one",
               .bound = 1.85,
               .at_most = false,
               .found = first(few, "sbm_seconds") / first(shared, "sbm_seconds")});
  } else {
    goals.note("two threads: one processor here");
  }
  add_memory(goals);
  goals.print();
  return kDone;
}

}  // namespace sbm::launch
