#include "data/listops_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"
#include "data/listops_evaluator.h"
#include "data/listops_tokens.h"
#include "data/mapped_file.h"
#include "data/text_lines.h"

namespace sbm::data {
namespace {

constexpr std::string_view kHeader = "Source\tTarget";

std::uint8_t token_id(std::string_view word) {
  // Nearly all words are digits, and a published file has a hundred million words.
  if (word.size() == 1 && word[0] >= '0' && word[0] <= '9') {
    return static_cast<std::uint8_t>(kListOpsDigit + (word[0] - '0'));
  }
  const auto found = std::find(kListOpsText.begin() + 1, kListOpsText.end(), word);
  return found == kListOpsText.end() ? static_cast<std::uint8_t>(kListOpsUnknown)
                                     : static_cast<std::uint8_t>(found - kListOpsText.begin());
}

void parse_source(std::string_view source, std::vector<std::uint8_t>& tokens) {
  tokens.clear();
  std::int64_t open = 0;
  while (!source.empty()) {
    const std::size_t end = std::min(source.find(' '), source.size());
    const std::string_view word = source.substr(0, end);
    source.remove_prefix(std::min(end + 1, source.size()));
    if (word.empty()) continue;
    if (word == "(") {
      ++open;
    } else if (word == ")") {
      if (--open < 0) throw DataError("expected balanced brackets, found \")\" without \"(\"");
    } else {
      const std::uint8_t id = token_id(word);
      if (id == kListOpsUnknown) {
        throw DataError(fmt::format("expected ( ) [MIN [MAX [MED [SM ] or a digit, found \"{}\"",
                                    excerpt(word)));
      }
      tokens.push_back(id);
    }
  }
  if (open != 0) throw DataError(fmt::format("expected balanced brackets, {} stay open", open));
}

void parse_row(std::string_view line, ListOpsFormat format, ListOpsRow& row) {
  const std::size_t tab = line.find('\t');
  if (tab == std::string_view::npos || line.find('\t', tab + 1) != std::string_view::npos) {
    throw DataError(
        fmt::format("expected 2 fields, found {}", 1 + std::count(line.begin(), line.end(), '\t')));
  }
  const std::string_view first = line.substr(0, tab);
  const std::string_view second = line.substr(tab + 1);
  const bool arena = format == ListOpsFormat::kLongRangeArena;
  const std::string_view label = arena ? second : first;
  if (label.size() != 1 || label[0] < '0' || label[0] > '9') {
    throw DataError(fmt::format("expected a label from 0 to 9, found \"{}\"", excerpt(label)));
  }
  row.label = label[0] - '0';
  parse_source(arena ? first : second, row.tokens);
  const std::int32_t value = evaluate_listops(row.tokens);
  if (value != row.label) {
    throw DataError(
        fmt::format("the label is {}, but the expression is worth {}", row.label, value));
  }
}

}  // namespace

void read_listops(const std::filesystem::path& path, ListOpsFormat format,
                  const std::function<void(const ListOpsRow&)>& take, const BadRow& bad) {
  const MappedFile file(path);
  std::string_view text = as_text(file);
  ListOpsRow row;
  if (format == ListOpsFormat::kLongRangeArena) {
    ++row.line;
    const std::string_view header = take_short_line(text, file, row.line);
    if (header != kHeader) {
      throw DataError(fmt::format("{}:1: expected the header Source<TAB>Target, found \"{}\"",
                                  path.string(), excerpt(header)));
    }
  }
  while (!text.empty()) {
    ++row.line;
    const std::string_view line = take_short_line(text, file, row.line);
    try {
      parse_row(line, format, row);
    } catch (const DataError& error) {
      bad(path, row.line, error.what());
      continue;
    }
    take(row);
  }
}

}  // namespace sbm::data
