#include "data/mrpc_files.h"

#include <fmt/format.h>

#include <array>
#include <set>
#include <string>
#include <string_view>

#include "base/error.h"
#include "data/durable_file.h"
#include "data/mapped_file.h"
#include "data/text_lines.h"

namespace sbm::data {
namespace {

constexpr std::size_t kFields = 5;
constexpr std::size_t kMaxBytes = std::size_t{16} << 20;
constexpr std::string_view kTestHeader = "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n";

void write(const std::filesystem::path& path, std::string_view text) {
  DurableFile file(path);
  file.write({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  file.commit();
}

MappedFile open_small(const std::filesystem::path& path) {
  MappedFile file(path);
  if (file.bytes().size() > kMaxBytes) {
    throw DataError(fmt::format("{}: expected at most {} bytes, found {}", path.string(), kMaxBytes,
                                file.bytes().size()));
  }
  return file;
}

// The spaces that Python's strip() takes off a row.
std::string_view stripped(std::string_view row) {
  constexpr std::string_view kSpaces = " \t\r\n\v\f";
  const std::size_t begin = row.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return row.substr(begin, row.find_last_not_of(kSpaces) + 1 - begin);
}

// Label, two ids, two sentences.
std::array<std::string_view, kFields> split_row(std::string_view row, const MappedFile& file,
                                                std::uint64_t line) {
  std::array<std::string_view, kFields> fields;
  const std::size_t found = split_fields(stripped(row), '\t', fields);
  if (found != kFields) {
    throw DataError(fmt::format("{}:{}: expected {} fields, found {}", file.path().string(), line,
                                kFields, found));
  }
  return fields;
}

std::set<std::string> read_ids(const std::filesystem::path& path) {
  const MappedFile file = open_small(path);
  std::set<std::string> ids;
  for (std::string_view rest = as_text(file); !rest.empty();) {
    ids.emplace(stripped(take_line(rest)));
  }
  return ids;
}

void arrange_train(const std::filesystem::path& folder) {
  std::set<std::string> held_out = read_ids(folder / kMrpcDevIdsFile);
  const MappedFile file = open_small(folder / kMrpcTrainFile);
  std::string_view rest = as_text(file);
  const std::string header = fmt::format("{}\n", take_line(rest));
  std::string train = header;
  std::string dev = header;
  for (std::uint64_t line = 2; !rest.empty(); ++line) {
    const auto fields = split_row(take_line(rest), file, line);
    const bool is_dev = held_out.erase(fmt::format("{}\t{}", fields[1], fields[2])) > 0;
    (is_dev ? dev : train) += fmt::format("{}\n", fmt::join(fields, "\t"));
  }
  if (!held_out.empty()) {
    throw DataError(
        fmt::format("{}: expected each pair of ids in {}, found {} that are not, \"{}\" "
                    "first",
                    (folder / kMrpcDevIdsFile).string(), kMrpcTrainFile, held_out.size(),
                    excerpt(*held_out.begin())));
  }
  write(folder / "train.tsv", train);
  write(folder / "dev.tsv", dev);
}

void arrange_test(const std::filesystem::path& folder) {
  const MappedFile file = open_small(folder / kMrpcTestFile);
  std::string_view rest = as_text(file);
  (void)take_line(rest);
  std::string test(kTestHeader);
  for (std::uint64_t line = 2; !rest.empty(); ++line) {
    const auto fields = split_row(take_line(rest), file, line);
    test +=
        fmt::format("{}\t{}\t{}\t{}\t{}\n", line - 2, fields[1], fields[2], fields[3], fields[4]);
  }
  write(folder / "test.tsv", test);
}

}  // namespace

void arrange_mrpc(const std::filesystem::path& folder) {
  arrange_train(folder);
  arrange_test(folder);
}

}  // namespace sbm::data
