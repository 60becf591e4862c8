#include "data/pathfinder_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "data/mapped_file.h"
#include "data/text_lines.h"

namespace sbm::data {
namespace {

constexpr std::size_t kFields = 11;
constexpr std::string_view kNumpyMagic = "\x93NUMPY";

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 18 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_folder(std::string_view text) {
  return text.starts_with("imgs/") && is_number(text.substr(5));
}

bool is_image(std::string_view text) {
  constexpr std::string_view kPrefix = "sample_";
  constexpr std::string_view kSuffix = ".png";
  return text.size() > kPrefix.size() + kSuffix.size() && text.starts_with(kPrefix) &&
         text.ends_with(kSuffix) &&
         is_number(text.substr(kPrefix.size(), text.size() - kPrefix.size() - kSuffix.size()));
}

}  // namespace

std::string parse_pathfinder_row(std::string_view line, PathfinderRow& row) {
  std::array<std::string_view, kFields> fields;
  const std::size_t found = split_fields(line, ' ', fields);
  if (found != kFields) return fmt::format("expected {} fields, found {}", kFields, found);
  if (!is_folder(fields[0]) || !is_image(fields[1])) {
    return fmt::format("expected imgs/N sample_N.png, found \"{}\" \"{}\"", excerpt(fields[0]),
                       excerpt(fields[1]));
  }
  if (fields[3] != "0" && fields[3] != "1") {
    return fmt::format("expected the label 0 or 1, found \"{}\"", excerpt(fields[3]));
  }
  row.image = fmt::format("{}/{}", fields[0], fields[1]);
  row.label = fields[3][0] - '0';
  return {};
}

std::vector<std::string> list_pathfinder_metadata(const std::filesystem::path& folder) {
  std::vector<std::pair<std::uint64_t, std::string>> found;
  std::error_code error;
  auto entry = std::filesystem::directory_iterator(folder / "metadata", error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::string stem = entry->path().stem().string();
    if (entry->path().extension() != ".npy" || !is_number(stem)) continue;
    std::uint64_t number = 0;
    std::from_chars(stem.data(), stem.data() + stem.size(), number);
    found.emplace_back(number, "metadata/" + entry->path().filename().string());
  }
  if (error) {
    throw DataError(fmt::format("{}: cannot list the folder: {}", (folder / "metadata").string(),
                                error.message()));
  }
  if (found.empty()) {
    throw DataError((folder / "metadata").string() + ": expected files N.npy, found none");
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> names;
  names.reserve(found.size());
  for (auto& [number, name] : found) names.push_back(std::move(name));
  return names;
}

void read_pathfinder_metadata(
    const std::filesystem::path& path,
    const std::function<void(std::uint64_t line, const PathfinderRow&)>& take, const BadRow& bad) {
  const MappedFile file(path);
  std::string_view text = as_text(file);
  if (text.starts_with(kNumpyMagic)) {
    throw DataError(path.string() +
                    ": expected metadata as text, as in the release; found a NumPy array");
  }
  PathfinderRow row;
  for (std::uint64_t line = 1; !text.empty(); ++line) {
    const std::string problem = parse_pathfinder_row(take_short_line(text, file, line), row);
    if (problem.empty()) {
      take(line, row);
    } else {
      bad(path, line, problem);
    }
  }
}

}  // namespace sbm::data
