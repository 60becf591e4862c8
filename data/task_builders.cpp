#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "base/error.h"
#include "data/task_builder.h"

namespace sbm::data {
namespace {

using Family = std::span<const TaskBuilder> (*)();

constexpr Family kFamilies[] = {
    glue_builders,      image_builders, pathfinder_builders,      listops_builders,
    retrieval_builders, text_builders,  masked_language_builders, repeated_tokens_builders,
};

}  // namespace

const std::vector<TaskBuilder>& task_builders() {
  static const std::vector<TaskBuilder> all = [] {
    std::vector<TaskBuilder> builders;
    for (const Family family : kFamilies) {
      const std::span<const TaskBuilder> some = family();
      builders.insert(builders.end(), some.begin(), some.end());
    }
    return builders;
  }();
  return all;
}

const TaskBuilder& find_task_builder(const std::string& name) {
  const std::vector<TaskBuilder>& all = task_builders();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&name](const TaskBuilder& task) { return task.name == name; });
  if (found == all.end()) {
    std::string known;
    for (const TaskBuilder& task : all) known += fmt::format(" \"{}\"", task.name);
    throw ConfigError(fmt::format("expected a task among{}; found \"{}\"", known, name));
  }
  return *found;
}

const std::vector<std::string>& standard_splits() {
  static const std::vector<std::string> names = {"train", "validation", "test"};
  return names;
}

std::vector<std::pair<std::string, std::string>> sample_counts(std::int64_t train,
                                                               std::int64_t validation,
                                                               std::int64_t test) {
  return {{"train_samples", std::to_string(train)},
          {"validation_samples", std::to_string(validation)},
          {"test_samples", std::to_string(test)}};
}

int thread_count(const BuildRequest& request) {
  if (request.threads > 0) return request.threads;
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

void refuse_source(const BuildRequest& request) {
  if (request.source.empty()) return;
  throw ConfigError(
      fmt::format("task \"{}\" is always generated: expected no source folder, found \"{}\"",
                  request.task, request.source.string()));
}

void require_source(const BuildRequest& request) {
  if (!request.source.empty()) return;
  throw ConfigError(
      fmt::format("task \"{}\" is made from published files: expected a source folder, found none",
                  request.task));
}

}  // namespace sbm::data
