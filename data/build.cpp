#include "data/build.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <system_error>
#include <thread>
#include <utility>

#include "base/content_hash.h"
#include "base/error.h"
#include "data/build_folder.h"
#include "data/dataset_index.h"
#include "data/hash64.h"
#include "data/listops_reader.h"
#include "data/listops_tokens.h"
#include "data/mapped_file.h"

namespace sbm::data {
namespace {

const std::vector<std::string>& split_names() {
  static const std::vector<std::string> names = {"train", "validation", "test"};
  return names;
}

// The published files, in the order of the splits.
constexpr std::array<const char*, 3> kListOpsFiles = {"basic_train.tsv", "basic_val.tsv",
                                                      "basic_test.tsv"};

constexpr std::uint64_t kProgressInterval = 64;

// Passes samples on to the writer and reports how far the build is.
class Sink {
 public:
  Sink(DatasetWriter& writer, std::uint64_t total,
       const std::function<void(const BuildProgress&)>& progress)
      : writer_(writer), total_(total), progress_(progress) {}

  void add(std::size_t split, const SampleView& sample) {
    writer_.add(split, sample);
    ++samples_;
    if (progress_ && (samples_ % kProgressInterval == 0 || samples_ == total_)) {
      progress_({.samples = samples_, .total = total_});
    }
  }

 private:
  DatasetWriter& writer_;
  std::uint64_t total_;
  const std::function<void(const BuildProgress&)>& progress_;
  std::uint64_t samples_ = 0;
};

int thread_count(const BuildRequest& request) {
  if (request.threads > 0) return request.threads;
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

std::vector<std::pair<std::string, std::string>> sample_counts(std::int64_t train,
                                                               std::int64_t validation,
                                                               std::int64_t test) {
  return {{"train_samples", std::to_string(train)},
          {"validation_samples", std::to_string(validation)},
          {"test_samples", std::to_string(test)}};
}

DatasetDescription describe_listops(const BuildRequest& request) {
  DatasetDescription description{.recipe = {.task = request.task},
                                 .splits = split_names(),
                                 .label_kind = LabelKind::kClass,
                                 .label_names = listops_label_names(),
                                 .vocabulary_size = kListOpsVocabulary};
  DatasetRecipe& recipe = description.recipe;
  if (request.source.empty()) {
    const ListOpsParameters& p = request.listops;
    check_listops_parameters(p);
    recipe.generator = "listops 1";
    recipe.parameters = sample_counts(p.train_samples, p.validation_samples, p.test_samples);
    recipe.parameters.emplace_back("max_depth", std::to_string(p.max_depth));
    recipe.parameters.emplace_back("max_arguments", std::to_string(p.max_arguments));
    recipe.parameters.emplace_back("min_length", std::to_string(p.min_length));
    recipe.parameters.emplace_back("max_length", std::to_string(p.max_length));
    recipe.parameters.emplace_back("seed", std::to_string(p.seed));
  } else {
    recipe.generator = "listops files 1";
    for (const char* name : kListOpsFiles) {
      const MappedFile file(request.source / name);
      recipe.sources.push_back({.name = name,
                                .bytes = file.bytes().size(),
                                .xxh3_128 = content_hash(std::as_bytes(file.bytes())).hex()});
    }
  }
  return description;
}

void fill_listops(const BuildRequest& request, DatasetWriter& writer,
                  const std::function<void(const BuildProgress&)>& progress) {
  if (request.source.empty()) {
    const ListOpsParameters& p = request.listops;
    Sink sink(writer,
              static_cast<std::uint64_t>(p.train_samples + p.validation_samples + p.test_samples),
              progress);
    generate_listops(p, thread_count(request), [&](std::size_t split, const ListOpsSample& tree) {
      sink.add(split, {.tokens8 = tree.tokens, .label = tree.label});
    });
    return;
  }
  Sink sink(writer, 0, progress);
  for (std::size_t split = 0; split < kListOpsFiles.size(); ++split) {
    read_listops(request.source / kListOpsFiles[split], ListOpsFormat::kLongRangeArena,
                 [&](const ListOpsRow& row) {
                   sink.add(split, {.tokens8 = row.tokens, .label = row.label});
                 });
  }
}

DatasetDescription describe_repeated_tokens(const BuildRequest& request) {
  const RepeatedTokensParameters& p = request.repeated_tokens;
  if (!request.source.empty()) {
    throw ConfigError(
        fmt::format("task \"{}\" is always generated: expected no source folder, "
                    "found \"{}\"",
                    request.task, request.source.string()));
  }
  check_repeated_tokens_parameters(p);
  DatasetDescription description{.recipe = {.task = request.task, .generator = "repeated tokens 1"},
                                 .splits = split_names(),
                                 .label_kind = LabelKind::kPerToken,
                                 .label_names = {"unique", "repeated"},
                                 .vocabulary_size = p.length + 1};
  DatasetRecipe& recipe = description.recipe;
  recipe.parameters = sample_counts(p.train_samples, p.validation_samples, p.test_samples);
  recipe.parameters.emplace_back("length", std::to_string(p.length));
  recipe.parameters.emplace_back("seed", std::to_string(p.seed));
  return description;
}

void fill_repeated_tokens(const BuildRequest& request, DatasetWriter& writer,
                          const std::function<void(const BuildProgress&)>& progress) {
  const RepeatedTokensParameters& p = request.repeated_tokens;
  const std::array<std::int64_t, 3> counts = {p.train_samples, p.validation_samples,
                                              p.test_samples};
  Sink sink(writer, static_cast<std::uint64_t>(counts[0] + counts[1] + counts[2]), progress);
  RepeatedTokensSample sample;
  std::vector<std::uint8_t> narrow;
  for (std::uint32_t split = 0; split < counts.size(); ++split) {
    for (std::int64_t i = 0; i < counts[split]; ++i) {
      draw_repeated_tokens(p, split, static_cast<std::uint64_t>(i), sample);
      SampleView view{.token_labels = sample.labels};
      if (p.length <= 255) {
        narrow.assign(sample.tokens.begin(), sample.tokens.end());
        view.tokens8 = narrow;
      } else {
        view.tokens16 = sample.tokens;
      }
      sink.add(split, view);
    }
  }
}

struct TaskBuilder {
  const char* name;
  DatasetDescription (*describe)(const BuildRequest&);
  void (*fill)(const BuildRequest&, DatasetWriter&,
               const std::function<void(const BuildProgress&)>&);
};

constexpr std::array<TaskBuilder, 2> kTasks = {{
    {"lra/listops", describe_listops, fill_listops},
    {"synthetic/repeated-tokens", describe_repeated_tokens, fill_repeated_tokens},
}};

const TaskBuilder& find_task(const std::string& name) {
  const auto* found = std::find_if(kTasks.begin(), kTasks.end(),
                                   [&name](const TaskBuilder& task) { return task.name == name; });
  if (found == kTasks.end()) {
    std::string known;
    for (const TaskBuilder& task : kTasks) known += fmt::format(" \"{}\"", task.name);
    throw ConfigError(fmt::format("expected a task among{}; found \"{}\"", known, name));
  }
  return *found;
}

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

BuildReport reuse(const std::filesystem::path& folder) {
  const LoadedIndex loaded = read_index(folder);
  // Opening every split notices missing, truncated and exchanged shards.
  for (const Split& split : loaded.index.splits()) Dataset::open(folder, split.name());
  return report_on(folder, loaded, true);
}

}  // namespace

std::vector<std::string> buildable_tasks() {
  std::vector<std::string> names;
  names.reserve(kTasks.size());
  for (const TaskBuilder& task : kTasks) names.emplace_back(task.name);
  return names;
}

std::string default_folder_name(const BuildRequest& request) {
  const DatasetRecipe recipe = find_task(request.task).describe(request).recipe;
  const std::string bytes = recipe_message(recipe).SerializeAsString();
  std::string name = request.task;
  std::replace(name.begin(), name.end(), '/', '-');
  return fmt::format("{}-{:016x}", name,
                     hash64({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}));
}

BuildReport build_dataset(const BuildRequest& request,
                          const std::function<void(const BuildProgress&)>& progress) {
  const TaskBuilder& task = find_task(request.task);
  if (request.shard_bytes == 0) throw ConfigError("expected shards of at least 1 byte, found 0");
  const DatasetDescription description = task.describe(request);
  const std::filesystem::path target = resolve(request.out);
  if (!is_free(target, description.recipe)) return reuse(target);

  BuildFolder folder(target);
  DatasetWriter writer(folder.path(), description, request.shard_bytes);
  task.fill(request, writer, progress);
  writer.finish();
  if (!folder.publish()) {
    // Another process finished first: fine when it made the same.
    is_free(target, description.recipe);
    return reuse(target);
  }
  return report_on(target, read_index(target), false);
}

}  // namespace sbm::data
