#include "data/build.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "base/error.h"
#include "data/build_folder.h"
#include "data/dataset_index.h"
#include "data/hash64.h"
#include "data/task_builder.h"

namespace sbm::data {
namespace {

// One absolute name, without links, for the folder that `out` means.
std::filesystem::path resolve(const std::filesystem::path& out) {
  std::error_code error;
  std::filesystem::path path =
      out.empty() ? out : std::filesystem::weakly_canonical(std::filesystem::absolute(out), error);
  if (!path.has_filename()) path = path.parent_path();
  if (error || !path.has_filename()) {
    throw ConfigError(fmt::format("expected a folder to build in, found \"{}\"", out.string()));
  }
  return path;
}

std::string difference(const DatasetRecipe& found, const DatasetRecipe& wanted) {
  if (found.task != wanted.task || found.generator != wanted.generator) {
    return fmt::format("expected {} by {}, found {} by {}", wanted.task, wanted.generator,
                       found.task, found.generator);
  }
  for (std::size_t i = 0; i < std::min(found.parameters.size(), wanted.parameters.size()); ++i) {
    if (found.parameters[i] != wanted.parameters[i]) {
      return fmt::format("expected {} = {}, found {} = {}", wanted.parameters[i].first,
                         wanted.parameters[i].second, found.parameters[i].first,
                         found.parameters[i].second);
    }
  }
  for (std::size_t i = 0; i < std::min(found.sources.size(), wanted.sources.size()); ++i) {
    if (found.sources[i] != wanted.sources[i]) {
      return fmt::format("{} had other contents (XXH3-128 {}, now {})", found.sources[i].name,
                         found.sources[i].xxh3_128, wanted.sources[i].xxh3_128);
    }
  }
  return "it was made from other parameters or files";
}

BuildReport report_on(const std::filesystem::path& folder, const LoadedIndex& loaded, bool reused) {
  BuildReport report{.folder = folder, .reused = reused, .fingerprint = loaded.fingerprint};
  for (const Split& split : loaded.index.splits()) {
    BuildReport::SplitReport entry{.name = split.name(), .samples = split.samples()};
    for (const Shard& shard : split.shards()) entry.bytes += shard.bytes();
    report.splits.push_back(entry);
  }
  report.skipped = skipped_rows(loaded.index);
  report.notes.assign(loaded.index.notes().begin(), loaded.index.notes().end());
  return report;
}

// Whether `folder` can be built: true when it is absent or empty, false when it holds this data set
// already. Anything else is an error.
bool is_free(const std::filesystem::path& folder, const DatasetRecipe& wanted) {
  std::error_code error;
  const auto fail_on_error = [&] {
    if (error) throw DataError(folder.string() + ": cannot examine: " + error.message());
  };
  const auto status = std::filesystem::status(folder, error);
  // For an absent folder `error` is set, too.
  if (!std::filesystem::status_known(status)) fail_on_error();
  if (!std::filesystem::exists(status)) return true;
  if (!std::filesystem::is_directory(status)) {
    throw ConfigError(folder.string() + ": expected a folder to build in, found a file");
  }
  const bool empty = std::filesystem::is_empty(folder, error);
  fail_on_error();
  if (empty) return true;
  const bool indexed = std::filesystem::exists(folder / kIndexFile, error);
  fail_on_error();
  if (!indexed) {
    throw ConfigError(folder.string() +
                      ": expected an empty folder or the same data set, found other files");
  }
  const DatasetRecipe found = recipe_from(read_index(folder).index.recipe());
  if (found != wanted) {
    throw ConfigError(fmt::format("{}: holds another data set: {}; choose another folder",
                                  folder.string(), difference(found, wanted)));
  }
  return false;
}

void check_options(const BuildRequest& request) {
  if (request.shard_bytes == 0) throw ConfigError("expected shards of at least 1 byte, found 0");
  if (request.max_length < 0 || request.max_length > kMaxBuildLength) {
    throw ConfigError(fmt::format("expected a maximum length of 1 to {} tokens, found {}",
                                  kMaxBuildLength, request.max_length));
  }
  if (request.skip_bad_rows < 0 || request.skip_bad_rows > kMaxSkippedRows) {
    throw ConfigError(fmt::format("expected 0 to {} bad rows to skip, found {}", kMaxSkippedRows,
                                  request.skip_bad_rows));
  }
}

// An option that changes nothing would let its user believe in a data set that is not there.
void refuse_foreign_options(const BuildRequest& request, const TaskBuilder& task) {
  std::string foreign;
  const auto refuse = [&foreign](bool is_set, const char* option) {
    if (is_set) foreign += (foreign.empty() ? "" : ", ") + std::string(option);
  };
  const bool from_files = !request.source.empty();
  refuse(!task.takes_words && !request.vocabulary.empty(), "--vocab");
  refuse(!task.takes_words && !request.lower_case, "--cased");
  refuse(!task.takes_length && request.max_length > 0, "--max-length");
  refuse(task.generated && !from_files && request.skip_bad_rows > 0, "--skip-bad-rows");
  if (foreign.empty()) return;
  std::string taken;
  if (task.takes_words) taken += "--vocab, --cased, ";
  if (task.takes_length) taken += "--max-length, ";
  if (!task.generated || from_files) taken += "--skip-bad-rows, ";
  throw ConfigError(fmt::format("task \"{}\"{}: expected of its options {}--threads; found {}",
                                task.name, task.generated && !from_files ? ", generated" : "",
                                taken, foreign));
}

BuildReport reuse(const std::filesystem::path& folder) {
  const LoadedIndex loaded = read_index(folder);
  // Opening every split notices missing, truncated and exchanged shards.
  for (const Split& split : loaded.index.splits()) Dataset::open(folder, split.name());
  return report_on(folder, loaded, true);
}

}  // namespace

std::vector<std::string> buildable_tasks() {
  std::vector<std::string> names;
  names.reserve(task_builders().size());
  for (const TaskBuilder& task : task_builders()) names.emplace_back(task.name);
  return names;
}

bool is_generated(const std::string& task) {
  return std::any_of(
      task_builders().begin(), task_builders().end(),
      [&task](const TaskBuilder& builder) { return builder.generated && builder.name == task; });
}

std::string default_folder_name(const BuildRequest& request) {
  const DatasetRecipe recipe = find_task_builder(request.task).describe(request).recipe;
  const std::string bytes = recipe_message(recipe).SerializeAsString();
  std::string name = request.task;
  std::replace(name.begin(), name.end(), '/', '-');
  return fmt::format("{}-{:016x}", name,
                     hash64({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}));
}

BuildReport build_dataset(const BuildRequest& request,
                          const std::function<void(const BuildProgress&)>& progress) {
  const TaskBuilder& task = find_task_builder(request.task);
  check_options(request);
  refuse_foreign_options(request, task);
  const DatasetDescription description = task.describe(request);
  const std::filesystem::path target = resolve(request.out);
  if (!is_free(target, description.recipe)) return reuse(target);

  BuildFolder folder(target);
  DatasetWriter writer(folder.path(), description, request.shard_bytes);
  SampleSink sink(writer, request.source, request.skip_bad_rows, progress);
  task.fill(request, sink);
  writer.finish(sink.skipped(), sink.notes());
  if (!folder.publish()) {
    // Another process finished first: fine when it made the same.
    is_free(target, description.recipe);
    return reuse(target);
  }
  return report_on(target, read_index(target), false);
}

}  // namespace sbm::data
