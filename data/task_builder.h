#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/build.h"
#include "data/dataset_writer.h"
#include "data/sample_sink.h"

// How a task is added: one file data/build_<family>.cpp that defines the family's builders, and its
// line in the table of task_builders.cpp.
namespace sbm::data {

/// How the data set of one task is made.
struct TaskBuilder {
  std::string_view name;  ///< BuildRequest::task
  /// Everything about the data set but its samples, above all the recipe with parameters and hashed
  /// source files. Throws ConfigError on unusable options, DataError on a missing source file.
  DatasetDescription (*describe)(const BuildRequest& request);
  /// Hands every sample to `sink`, in an order that depends on the recipe alone. Throws DataError.
  void (*fill)(const BuildRequest& request, SampleSink& sink);
  bool generated = false;  ///< whether samples can be had without source files
  /// Whether the task has words: BuildRequest::vocabulary and lower_case mean something.
  bool takes_words = false;
  /// Whether BuildRequest::max_length means something.
  bool takes_length = false;
};

std::span<const TaskBuilder> glue_builders();
std::span<const TaskBuilder> image_builders();
std::span<const TaskBuilder> listops_builders();
std::span<const TaskBuilder> masked_language_builders();
std::span<const TaskBuilder> pathfinder_builders();
std::span<const TaskBuilder> repeated_tokens_builders();
std::span<const TaskBuilder> retrieval_builders();
std::span<const TaskBuilder> text_builders();

/// All builders, sorted as they are shown to users.
const std::vector<TaskBuilder>& task_builders();

/// Throws ConfigError, listing the known names.
const TaskBuilder& find_task_builder(const std::string& name);

/// "train", "validation", "test": splits 0, 1, 2 of most tasks.
const std::vector<std::string>& standard_splits();

/// The parameters "<split>_samples" of a recipe.
std::vector<std::pair<std::string, std::string>> sample_counts(std::int64_t train,
                                                               std::int64_t validation,
                                                               std::int64_t test);

/// BuildRequest::threads, or the number of processors when it is 0.
int thread_count(const BuildRequest& request);

/// Throws ConfigError when the request names a source folder: the task is always generated.
void refuse_source(const BuildRequest& request);

/// Throws ConfigError when the request names no source folder: the task is only read from files.
void require_source(const BuildRequest& request);

}  // namespace sbm::data
