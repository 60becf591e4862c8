#include "trainer/glue_score.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "trainer/config.h"
#include "trainer/run_folder.h"
#include "trainer/task_metrics.h"

namespace sbm::trainer {
namespace {

constexpr std::array<std::string_view, 9> kTasks = {"glue/cola",  "glue/sst-2", "glue/mrpc",
                                                    "glue/sts-b", "glue/qqp",   "glue/mnli",
                                                    "glue/qnli",  "glue/rte",   "glue/wnli"};
constexpr std::string_view kMismatched = "_mismatched";

/// CoLA's accuracy is shown beside its Matthews correlation but is no metric of the benchmark.
std::vector<std::string> benchmark_metrics(const std::string& task) {
  if (task == "glue/cola") return {kMatthews};
  return task_metrics(task);
}

TaskResult from_json(const nlohmann::json& json, const std::string& source) {
  try {
    TaskResult result{.task = json.at("task"), .split = json.at("split"), .source = source};
    for (const auto& [name, value] : json.at("metrics").items()) {
      // A correlation of equal values is none; JSON has no NaN for it.
      result.metrics[name] =
          value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
    }
    return result;
  } catch (const nlohmann::json::exception& error) {
    throw DataError(
        fmt::format("{}: expected task, split and metrics as `sbm eval --json` writes "
                    "them, found: {}",
                    source, error.what()));
  }
}

std::string text_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) throw DataError(path.string() + ": expected a file that can be read");
  return text.str();
}

// metrics.jsonl does not name the task; the run's configuration does.
TaskResult best_of_run(const std::filesystem::path& folder, const std::string& task) {
  const std::filesystem::path path = folder / "metrics.jsonl";
  std::istringstream lines(text_of(path));
  std::optional<TaskResult> best;
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object() || !json.contains("best") || json["best"] != true) continue;
    nlohmann::json named = json;
    named["task"] = task;
    best = from_json(named, path.string());
  }
  if (!best) throw DataError(path.string() + ": expected an evaluation, found none");
  return *best;
}

const TaskResult* find(const std::vector<TaskResult>& results, std::string_view task,
                       std::string_view split) {
  const auto found = std::ranges::find_if(results, [&](const TaskResult& result) {
    return result.task == task && result.split == split;
  });
  return found == results.end() ? nullptr : &*found;
}

double metric(const TaskResult& result, const std::string& name) {
  const auto found = result.metrics.find(name);
  if (found == result.metrics.end()) {
    throw DataError(fmt::format("{}: expected the metric {} of {}, found none", result.source, name,
                                result.task));
  }
  if (!std::isfinite(found->second)) {
    throw DataError(fmt::format(
        "{}: expected a number for the metric {} of {}, found none: it is not defined, as when all "
        "predictions are equal, and there is no mean with it",
        result.source, name, result.task));
  }
  return found->second;
}

TaskScore score_task(const std::vector<TaskResult>& results, const std::string& task,
                     const std::string& split) {
  TaskScore line{.task = task};
  std::vector<std::string> splits = {split};
  if (task == "glue/mnli") splits.push_back(split + std::string(kMismatched));
  double sum = 0.0;
  for (const std::string& part : splits) {
    const TaskResult* result = find(results, task, part);
    if (result == nullptr) {
      line.missing.push_back(part);
      continue;
    }
    const std::vector<std::string> names = benchmark_metrics(task);
    for (const std::string& name : names) {
      const double value = metric(*result, name);
      sum += value / static_cast<double>(names.size() * splits.size());
      line.parts.push_back(fmt::format("{}{} {:.4f}", name,
                                       part.ends_with(kMismatched) ? " (mismatched)" : "", value));
    }
  }
  if (line.missing.empty()) line.score = sum;
  return line;
}

// "validation" or "test", the same for all.
std::string common_split(const std::vector<TaskResult>& results) {
  std::string common;
  const TaskResult* before = nullptr;
  for (const TaskResult& result : results) {
    std::string split = result.split;
    if (result.task == "glue/mnli" && split.ends_with(kMismatched)) {
      split.resize(split.size() - kMismatched.size());
    }
    if (std::ranges::find(kTasks, result.task) == kTasks.end() ||
        (split != "validation" && split != "test")) {
      throw ConfigError(
          fmt::format("{}: expected a validation or test split of GLUE, found split "
                      "{} of {}",
                      result.source, result.split, result.task));
    }
    if (before != nullptr && split != common) {
      throw ConfigError(
          fmt::format("expected results of one kind of split, found {} in {} and {} "
                      "in {}",
                      common, before->source, split, result.source));
    }
    if (const TaskResult* other = find(results, result.task, result.split); other != &result) {
      throw ConfigError(fmt::format("expected one result for split {} of {}, found {} and {}",
                                    result.split, result.task, other->source, result.source));
    }
    common = split;
    before = &result;
  }
  return common;
}

}  // namespace

TaskResult read_task_result(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) {
    return from_json(nlohmann::json::parse(text_of(path), nullptr, false), path.string());
  }
  const std::filesystem::path configuration = RunFolder(path).configuration();
  const Config config = parse_config(text_of(configuration), configuration.string());
  return best_of_run(path, config.task().name());
}

std::size_t GlueScore::complete() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(tasks, [](const TaskScore& task) { return task.score.has_value(); }));
}

GlueScore glue_score(const std::vector<TaskResult>& results) {
  if (results.empty()) throw ConfigError("expected results of GLUE, found none");
  const std::string split = common_split(results);
  GlueScore score;
  double sum = 0.0;
  for (const std::string_view task : kTasks) {
    score.tasks.push_back(score_task(results, std::string(task), split));
    sum += score.tasks.back().score.value_or(0.0);
  }
  if (score.complete() > 0) score.score = sum / static_cast<double>(score.complete());
  return score;
}

}  // namespace sbm::trainer
