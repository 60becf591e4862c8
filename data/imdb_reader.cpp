#include "data/imdb_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "base/error.h"
#include "data/mapped_file.h"
#include "data/review_row.h"
#include "data/text_lines.h"

namespace sbm::data {
namespace {

// Class 0 and class 1.
constexpr const char* kClassFolders[] = {"neg", "pos"};
constexpr const char* kSplits[] = {"train", "test"};

std::filesystem::path table(const ImdbSource& source, const std::string& split) {
  return source.folder / (split + ".tsv");
}

// The names of the reviews of one class, relative to the source, by number.
std::vector<std::string> list_reviews(const ImdbSource& source, const std::string& split,
                                      std::int32_t label) {
  return list_text_files(source.folder, split + "/" + kClassFolders[label]);
}

// What is wrong with a text, or nothing.
std::string text_problem(std::string_view text) {
  if (text.empty()) return "expected a text, found an empty one";
  return review_length_problem(text);
}

// Returns what is wrong with the row.
std::string parse_row(std::string_view line, Review& review) {
  ReviewRow row;
  std::string problem = split_review(line, row);
  if (!problem.empty()) return problem;
  if (row.label != "0" && row.label != "1") {
    return fmt::format("expected the label 0 or 1, found \"{}\"", excerpt(row.label));
  }
  review.label = row.label[0] - '0';
  review.text = row.text;
  return text_problem(review.text);
}

void read_table(const std::filesystem::path& path, const std::function<void(const Review&)>& take,
                const BadRow& bad) {
  const MappedFile file(path);
  std::string_view text = as_text(file);
  Review review;
  review.file = path;
  review.line = 1;
  drop_byte_order_mark(text);
  check_review_header(file, take_line(text));
  while (!text.empty()) {
    ++review.line;
    const std::string problem = parse_row(take_line(text), review);
    if (problem.empty()) {
      take(review);
    } else {
      bad(path, review.line, problem);
    }
  }
}

}  // namespace

ImdbSource find_imdb(const std::filesystem::path& source) {
  for (const std::filesystem::path& folder : {source, source / "aclImdb"}) {
    std::error_code ignored;
    if (std::filesystem::exists(folder / "train.tsv", ignored)) {
      return {.layout = ImdbLayout::kTables, .folder = folder};
    }
    if (std::filesystem::is_directory(folder / "train" / "pos", ignored)) {
      return {.layout = ImdbLayout::kFolders, .folder = folder};
    }
  }
  throw DataError(
      fmt::format("{}: expected the folder train/pos (aclImdb as published) or the "
                  "file train.tsv, here or in aclImdb; found neither",
                  source.string()));
}

std::vector<SourceDescription> describe_imdb(const ImdbSource& source, int threads) {
  std::vector<SourceDescription> sources;
  for (const std::string split : kSplits) {
    if (source.layout == ImdbLayout::kTables) {
      sources.push_back(describe_source_file(source.folder, split + ".tsv"));
      continue;
    }
    for (const std::int32_t label : {0, 1}) {
      sources.push_back(describe_source_files(split + "/" + kClassFolders[label], source.folder,
                                              list_reviews(source, split, label), threads));
    }
  }
  return sources;
}

std::uint64_t count_imdb(const ImdbSource& source, const std::string& split) {
  if (source.layout == ImdbLayout::kFolders) {
    return list_reviews(source, split, 0).size() + list_reviews(source, split, 1).size();
  }
  const MappedFile file(table(source, split));
  const std::uint64_t lines = count_lines(file);
  return lines == 0 ? 0 : lines - 1;
}

void read_imdb(const ImdbSource& source, const std::string& split,
               const std::function<void(const Review&)>& take, const BadRow& bad) {
  if (source.layout == ImdbLayout::kTables) return read_table(table(source, split), take, bad);
  for (const std::int32_t label : {0, 1}) {
    for (const std::string& name : list_reviews(source, split, label)) {
      const MappedFile file(source.folder / name);
      const Review review{.text = as_text(file), .label = label, .file = file.path()};
      const std::string problem = text_problem(review.text);
      if (problem.empty()) {
        take(review);
      } else {
        bad(review.file, 0, problem);
      }
    }
  }
}

}  // namespace sbm::data
