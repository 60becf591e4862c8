#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "data/glue_reader.h"
#include "data/glue_tasks.h"
#include "data/mapped_file.h"
#include "data/source_files.h"
#include "data/task_builder.h"
#include "data/text_lines.h"
#include "data/text_request.h"

namespace sbm::data {
namespace {

constexpr std::int64_t kUsualLength = 128;
constexpr const char* kMrpcGold = "msr_paraphrase_test.txt";

const GlueTask& task_of(const BuildRequest& request) {
  const std::vector<GlueTask>& tasks = glue_tasks();
  return *std::find_if(tasks.begin(), tasks.end(),
                       [&](const GlueTask& task) { return task.name == request.task; });
}

// MRPC is the one task whose test labels are public; its archive may hold them.
bool has_gold(const BuildRequest& request) {
  std::error_code ignored;
  return request.task == "glue/mrpc" &&
         std::filesystem::exists(request.source / kMrpcGold, ignored);
}

DatasetDescription describe_glue(const BuildRequest& request) {
  require_source(request);
  const GlueTask& task = task_of(request);
  const WordPieceTokenizer tokenizer = tokenizer_of(request);
  const std::int64_t max_length = max_length_of(request, kUsualLength);
  const TextEncoder check_length(tokenizer, max_length);
  const bool gold = has_gold(request);
  DatasetDescription description{.recipe = {.task = request.task, .generator = "glue 1"},
                                 .label_kind = task.label_kind,
                                 .label_names = task.labels,
                                 .pairs = task.pairs()};
  for (const GlueFile& file : task.files) {
    description.splits.emplace_back(file.split);
    if (file.label.index < 0 && !gold) description.unlabelled.emplace_back(file.split);
    description.recipe.sources.push_back(
        describe_source_file(request.source, std::string(file.name)));
  }
  if (gold) description.recipe.sources.push_back(describe_source_file(request.source, kMrpcGold));
  describe_words(tokenizer, max_length, description);
  return description;
}

void fill_glue(const BuildRequest& request, SampleSink& sink) {
  const GlueTask& task = task_of(request);
  const WordPieceTokenizer tokenizer = tokenizer_of(request);
  const TextEncoder encoder(tokenizer, max_length_of(request, kUsualLength));
  std::optional<GlueGold> gold;
  if (has_gold(request)) gold = read_mrpc_gold(request.source / kMrpcGold);
  std::uint64_t rows = 0;
  for (const GlueFile& file : task.files) {
    const std::uint64_t lines = count_lines(MappedFile(request.source / file.name));
    rows += lines - std::min<std::uint64_t>(lines, file.has_header ? 1 : 0);
  }
  sink.expect(rows);
  WordSamples samples(sink, tokenizer.vocabulary().size());
  for (std::size_t split = 0; split < task.files.size(); ++split) {
    const GlueFile& file = task.files[split];
    read_glue(
        request.source, task, file, encoder, file.label.index < 0 && gold ? &*gold : nullptr,
        thread_count(request),
        [&](GlueRow& row) { samples.add(split, row.text, row.label, row.score); },
        [&sink](const auto& path, std::uint64_t line, const std::string& reason) {
          sink.bad_row(path, line, reason);
        });
  }
}

}  // namespace

std::span<const TaskBuilder> glue_builders() {
  static const std::vector<TaskBuilder> builders = [] {
    std::vector<TaskBuilder> all;
    for (const GlueTask& task : glue_tasks()) {
      all.push_back({.name = task.name,
                     .describe = describe_glue,
                     .fill = fill_glue,
                     .takes_words = true,
                     .takes_length = true});
    }
    return all;
  }();
  return builders;
}

}  // namespace sbm::data
