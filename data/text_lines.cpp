#include "data/text_lines.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace sbm::data {

std::string_view as_text(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string_view take_short_line(std::string_view& text, const MappedFile& file,
                                 std::uint64_t line) {
  // With the CR and LF that do not count.
  std::string_view near = text.substr(0, kMaxLineBytes + 2);
  const std::size_t before = near.size();
  const std::string_view taken = take_line(near);
  if (taken.size() > kMaxLineBytes) refuse_long_line(file, line);
  text.remove_prefix(before - near.size());
  return taken;
}

std::size_t split_fields(std::string_view line, char separator,
                         std::span<std::string_view> fields) {
  for (std::size_t found = 0;; ++found) {
    const std::size_t end = line.find(separator);
    if (found < fields.size()) fields[found] = line.substr(0, end);
    if (end == std::string_view::npos) return found + 1;
    line.remove_prefix(end + 1);
  }
}

void drop_byte_order_mark(std::string_view& text) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  if (text.starts_with(kMark)) text.remove_prefix(kMark.size());
}

std::size_t line_start(std::string_view text, std::size_t at, std::size_t max_line) {
  if (at == 0) return 0;
  if (at >= text.size()) return text.size();
  // The line end that counts may be the very byte before `at`.
  const std::string_view near = text.substr(at - 1, max_line + 2);
  const std::size_t end = near.find('\n');
  return end == std::string_view::npos ? at - 1 + near.size() : at + end;
}

std::uint64_t count_lines(const MappedFile& file) {
  const std::string_view text = as_text(file);
  const auto ends = static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
  return ends + (text.empty() || text.back() == '\n' ? 0 : 1);
}

void refuse_long_line(const MappedFile& file, std::uint64_t line) {
  throw DataError(fmt::format("{}:{}: expected a line of at most {} bytes, found more",
                              file.path().string(), line, kMaxLineBytes));
}

std::string excerpt(std::string_view text) {
  constexpr std::size_t kShown = 40;
  std::string shown;
  for (const char c : text.substr(0, kShown)) shown += c >= ' ' && c <= '~' ? c : '?';
  return text.size() > kShown ? shown + "..." : shown;
}

}  // namespace sbm::data
