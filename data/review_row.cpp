#include "data/review_row.h"

#include <fmt/format.h>

#include "base/error.h"
#include "data/text_lines.h"

namespace sbm::data {

void check_review_header(const MappedFile& file, std::string_view line) {
  if (line != "path\tlabel\ttext") {
    throw DataError(fmt::format("{}:1: expected the header path<TAB>label<TAB>text, found \"{}\"",
                                file.path().string(), excerpt(line)));
  }
}

std::string split_review(std::string_view line, ReviewRow& row) {
  const std::size_t first = line.find('\t');
  const std::size_t second = first == std::string_view::npos ? first : line.find('\t', first + 1);
  if (second == std::string_view::npos) {
    return fmt::format("expected 3 fields (path, label, text), found {}",
                       first == std::string_view::npos ? 1 : 2);
  }
  row.label = line.substr(first + 1, second - first - 1);
  row.text = line.substr(second + 1);
  return {};
}

std::string review_length_problem(std::string_view text) {
  if (text.size() <= kMaxReviewBytes) return {};
  return fmt::format("expected a text of at most {} bytes, found {}", kMaxReviewBytes, text.size());
}

}  // namespace sbm::data
