#include <fmt/format.h>

#include <array>
#include <charconv>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/byte_tokens.h"
#include "data/mapped_file.h"
#include "data/source_files.h"
#include "data/task_builder.h"
#include "data/text_lines.h"

// Retrieval of the Long Range Arena: do two papers of the ACL Anthology Network cite each other?
namespace sbm::data {
namespace {

// The published files, in the order of the splits.
constexpr std::array<const char*, 3> kFiles = {"new_aan_pairs.train.tsv", "new_aan_pairs.eval.tsv",
                                               "new_aan_pairs.test.tsv"};
constexpr std::int64_t kPublishedLength = 4000;
constexpr std::size_t kFields = 5;

std::int64_t length_limit(const BuildRequest& request) {
  return request.max_length == 0 ? kPublishedLength : request.max_length;
}

std::filesystem::path folder_of(const BuildRequest& request) {
  return find_source_folder(request.source, {"", "tsv_data", "lra_release/tsv_data"}, kFiles[0]);
}

DatasetDescription describe_retrieval(const BuildRequest& request) {
  require_source(request);
  DatasetDescription description{
      .recipe = {.task = request.task, .generator = "aan bytes 1"},
      .splits = standard_splits(),
      .label_kind = LabelKind::kClass,
      .label_names = {"unrelated", "related"},
      .vocabulary_size = kByteVocabulary,
      .token_offset = kByteTokenOffset,
      .pairs = true,
  };
  description.recipe.parameters.emplace_back("max_length", std::to_string(length_limit(request)));
  const std::filesystem::path folder = folder_of(request);
  for (const char* name : kFiles) {
    description.recipe.sources.push_back(describe_source_file(folder, name));
  }
  return description;
}

// Labels are written as floats: "1.0".
std::int32_t parse_label(std::string_view field) {
  double value = -1;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc() || end != field.data() + field.size()) return -1;
  return value == 1.0 ? 1 : value == 0.0 ? 0 : -1;
}

class Pairs {
 public:
  Pairs(std::int64_t max_length, SampleSink& sink) : max_length_(max_length), sink_(sink) {}

  void read(const std::filesystem::path& path, std::size_t split) {
    const MappedFile file(path);
    std::string_view text = as_text(file);
    for (std::uint64_t line = 1; !text.empty(); ++line) {
      const std::string problem = add(take_line(text), split);
      if (!problem.empty()) sink_.bad_row(path, line, problem);
    }
  }

 private:
  // Returns what is wrong with the row.
  std::string add(std::string_view row, std::size_t split) {
    std::array<std::string_view, kFields> fields;
    const std::size_t found = split_fields(row, '\t', fields);
    if (found != kFields) {
      return fmt::format("expected {} fields (label, id, id, text, text), found {}", kFields,
                         found);
    }
    const std::int32_t label = parse_label(fields[0]);
    if (label < 0) {
      return fmt::format("expected the label 0 or 1, found \"{}\"", excerpt(fields[0]));
    }
    const auto first = byte_tokens(fields[3], max_length_);
    const auto second = byte_tokens(fields[4], max_length_);
    if (first.empty() || second.empty()) return "expected two texts, found an empty one";
    tokens_.assign(first.begin(), first.end());
    tokens_.insert(tokens_.end(), second.begin(), second.end());
    sink_.add(split, {.tokens8 = tokens_,
                      .first_length = static_cast<std::int32_t>(first.size()),
                      .label = label});
    return {};
  }

  std::int64_t max_length_;
  SampleSink& sink_;
  std::vector<std::uint8_t> tokens_;
};

void fill_retrieval(const BuildRequest& request, SampleSink& sink) {
  Pairs pairs(length_limit(request), sink);
  const std::filesystem::path folder = folder_of(request);
  for (std::size_t split = 0; split < kFiles.size(); ++split) {
    pairs.read(folder / kFiles[split], split);
  }
}

constexpr TaskBuilder kBuilders[] = {{.name = "lra/retrieval",
                                      .describe = describe_retrieval,
                                      .fill = fill_retrieval,
                                      .takes_length = true}};

}  // namespace

std::span<const TaskBuilder> retrieval_builders() { return kBuilders; }

}  // namespace sbm::data
