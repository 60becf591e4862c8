#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "launch/command.h"
#include "launch/print_json.h"
#include "trainer/glue_score.h"

namespace sbm::launch {
namespace {

struct Options {
  std::vector<std::string> results;
  bool partial = false;
  bool json = false;
};

void require_all(const trainer::GlueScore& score) {
  std::vector<std::string> missing;
  for (const trainer::TaskScore& task : score.tasks) {
    if (!task.missing.empty()) {
      missing.push_back(fmt::format("{} ({})", task.task, fmt::join(task.missing, ", ")));
    }
  }
  if (missing.empty()) return;
  throw ConfigError(fmt::format(
      "expected results of all {} tasks of GLUE, found none of {}; --partial takes the mean of the "
      "others, which is no GLUE score",
      score.tasks.size(), fmt::join(missing, ", ")));
}

nlohmann::json as_json(const trainer::GlueScore& score) {
  nlohmann::json tasks = nlohmann::json::object();
  nlohmann::json missing = nlohmann::json::array();
  for (const trainer::TaskScore& task : score.tasks) {
    if (task.score) {
      tasks[task.task] = *task.score;
    } else {
      missing.push_back(task.task);
    }
  }
  nlohmann::json json = {
      {"tasks", tasks}, {"missing", missing}, {"partial", score.complete() < score.tasks.size()}};
  json["score"] = score.score ? nlohmann::json(*score.score) : nlohmann::json();
  return json;
}

std::string as_text(const trainer::GlueScore& score) {
  std::string text;
  for (const trainer::TaskScore& task : score.tasks) {
    std::vector<std::string> notes = task.parts;
    for (const std::string& split : task.missing) notes.push_back("no " + split);
    text += fmt::format("{:<11} {:>6}   {}\n", task.task,
                        task.score ? fmt::format("{:.1f}", 100.0 * *task.score) : "-",
                        fmt::join(notes, ", "));
  }
  const std::string number = score.score ? fmt::format("{:.1f}", 100.0 * *score.score) : "-";
  if (score.complete() == score.tasks.size())
    return text + "GLUE score  " + fmt::format("{:>6}\n", number);
  return text + fmt::format("mean of {} of {} tasks: {}; no GLUE score\n", score.complete(),
                            score.tasks.size(), number);
}

int run_glue_score(const Options& options) {
  std::vector<trainer::TaskResult> results;
  for (const std::string& path : options.results) {
    results.push_back(trainer::read_task_result(path));
  }
  const trainer::GlueScore score = trainer::glue_score(results);
  if (!options.partial) require_all(score);
  if (options.json) {
    print_json(as_json(score));
  } else {
    std::cout << as_text(score);
  }
  return kDone;
}

}  // namespace

void add_glue_score_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand(
      "glue-score", "The benchmark's score from the results of its nine tasks");
  auto options = std::make_shared<Options>();
  command
      ->add_option("results", options->results,
                   "Run folders (their best validation) and files with the answer of `sbm eval "
                   "--json`")
      ->required();
  command->add_flag("--partial", options->partial,
                    "The mean of what is there when tasks are missing");
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->callback(
      [options, &action] { action = [options](Session&) { return run_glue_score(*options); }; });
}

}  // namespace sbm::launch
