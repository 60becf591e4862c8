#include "data/shard_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "data/hash64.h"

namespace sbm::data {
namespace {

template <typename T>
std::span<const T> typed(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
}

std::string describe(const ColumnSpec& spec) {
  static constexpr const char* kNames[] = {"?", "u8", "u16", "i32", "f32"};
  return fmt::format("{} {} {}", spec.name, kNames[static_cast<std::uint32_t>(spec.type)],
                     spec.width == 0 ? "ragged" : fmt::format("x{}", spec.width));
}

// Whether `value` lies in [low, high); a float that is no number does not.
template <typename T>
bool is_inside(T value, std::int64_t low, std::int64_t high) {
  if constexpr (std::is_floating_point_v<T>) {
    return value >= static_cast<T>(low) && value < static_cast<T>(high);
  } else {
    return std::int64_t{value} >= low && std::int64_t{value} < high;
  }
}

// Position of the first element outside [low, high), or the count when there is none.
template <typename T>
std::size_t first_outside(std::span<const T> values, std::int64_t low, std::int64_t high) {
  // One branch-free pass first: bad elements are rare, so the search for them may be slow.
  std::size_t bad = 0;
  for (const T value : values) bad += static_cast<std::size_t>(!is_inside(value, low, high));
  if (bad == 0) return values.size();
  const auto found = std::find_if_not(values.begin(), values.end(),
                                      [low, high](T value) { return is_inside(value, low, high); });
  return static_cast<std::size_t>(found - values.begin());
}

}  // namespace

ShardReader::ShardReader(const std::filesystem::path& path, std::vector<ExpectedColumn> expected)
    : file_(path), expected_(std::move(expected)) {
  layout_ = decode_shard_header(file_.bytes(), path);
  footer_ = decode_shard_footer(file_.bytes(), layout_, path);
  std::string wanted;
  std::string found;
  for (const ExpectedColumn& column : expected_) wanted += describe(column.spec) + "; ";
  for (const ColumnLayout& column : layout_.columns) found += describe(column.spec) + "; ";
  if (wanted != found) fail(fmt::format("expected the columns {}found {}", wanted, found));
  verified_ = std::make_unique<std::atomic<bool>[]>(layout_.blocks);
}

void ShardReader::fail(const std::string& reason) const {
  throw DataError(path().string() + ": " + reason);
}

std::span<const std::uint64_t> ShardReader::offsets(const ColumnLayout& column) const {
  return typed<std::uint64_t>(file_.bytes().subspan(column.offsets_begin, column.offsets_bytes));
}

ShardReader::ElementRange ShardReader::element_range(std::size_t column, std::uint64_t row,
                                                     std::uint64_t element) const {
  const ColumnLayout& layout = layout_.columns.at(column);
  if (row >= layout_.samples || element != element_bytes(layout.spec.type)) {
    throw InternalError(fmt::format("{}: row {} of {} asked of column \"{}\" as elements of {} B",
                                    path().string(), row, layout_.samples, layout.spec.name,
                                    element));
  }
  if (layout.spec.width != 0) return {row * layout.spec.width, (row + 1) * layout.spec.width};
  touch(layout.offsets_begin + row * 8, layout.offsets_begin + row * 8 + 16);
  const std::uint64_t begin = offsets(layout)[row];
  const std::uint64_t end = offsets(layout)[row + 1];
  if (begin > end || end > layout.data_bytes / element) {
    fail(fmt::format("column \"{}\", row {}: offsets {} to {} do not lie in 0 to {}",
                     layout.spec.name, row, begin, end, layout.data_bytes / element));
  }
  return {begin, end};
}

std::uint64_t ShardReader::element_count(std::size_t column, std::uint64_t row,
                                         std::uint64_t element) const {
  const auto [begin, end] = element_range(column, row, element);
  return end - begin;
}

std::span<const std::uint8_t> ShardReader::element_span(std::size_t column, std::uint64_t row,
                                                        std::uint64_t element) const {
  const auto [begin, end] = element_range(column, row, element);
  const std::uint64_t first = layout_.columns[column].data_begin + begin * element;
  const std::uint64_t bytes = (end - begin) * element;
  touch(first, first + bytes);
  return file_.bytes().subspan(first, bytes);
}

void ShardReader::touch(std::uint64_t begin, std::uint64_t end) const {
  for (std::uint64_t block = begin / kShardBlockBytes; block * kShardBlockBytes < end; ++block) {
    // Two threads may both do the work of a first touch; both then store the same answer.
    if (!verified_[block].load(std::memory_order_acquire)) verify_block(block);
  }
}

void ShardReader::verify_block(std::uint64_t block) const {
  const std::uint64_t begin = block * kShardBlockBytes;
  const std::uint64_t end = std::min(begin + kShardBlockBytes, layout_.payload_bytes);
  std::uint64_t stored = 0;
  std::memcpy(&stored, file_.bytes().subspan(layout_.payload_bytes + block * 8, 8).data(), 8);
  const std::uint64_t computed = hash64(file_.bytes().subspan(begin, end - begin));
  if (stored != computed) {
    fail(fmt::format("bytes {} to {} are damaged: expected checksum {:016x}, found {:016x}", begin,
                     end, stored, computed));
  }
  for (std::size_t i = 0; i < expected_.size(); ++i) {
    const ColumnLayout& column = layout_.columns[i];
    const std::uint64_t first = std::max(begin, column.data_begin);
    const std::uint64_t last = std::min(end, column.data_begin + column.data_bytes);
    if (first < last) check_range(column, expected_[i], first, last);
  }
  verified_[block].store(true, std::memory_order_release);
}

void ShardReader::check_range(const ColumnLayout& column, const ExpectedColumn& expected,
                              std::uint64_t begin, std::uint64_t end) const {
  const auto check = [&]<typename T>(std::span<const T> values) {
    const std::size_t at = first_outside(values, expected.low, expected.high);
    if (at == values.size()) return;
    fail(fmt::format("column \"{}\", element {}: expected a value from {} to {}, found {}",
                     column.spec.name, (begin - column.data_begin) / sizeof(T) + at, expected.low,
                     expected.high - 1, values[at]));
  };
  const auto bytes = file_.bytes().subspan(begin, end - begin);
  switch (column.spec.type) {
    case ElementType::kU8:
      return check(typed<std::uint8_t>(bytes));
    case ElementType::kU16:
      return check(typed<std::uint16_t>(bytes));
    case ElementType::kI32:
      return check(typed<std::int32_t>(bytes));
    case ElementType::kF32:
      return check(typed<float>(bytes));
  }
}

std::vector<std::string> ShardReader::problems() const {
  std::vector<std::string> found;
  for (std::uint64_t block = 0; block < layout_.blocks; ++block) {
    try {
      verify_block(block);
    } catch (const DataError& error) {
      found.emplace_back(error.what());
    }
  }
  const ContentHash content =
      content_hash(std::as_bytes(file_.bytes().first(layout_.file_bytes - kShardFooterBytes)));
  if (content != footer_.content) {
    found.push_back(fmt::format("{}: expected XXH3-128 {}, found {}", path().string(),
                                footer_.content.hex(), content.hex()));
  }
  if (!found.empty()) return found;
  for (const ColumnLayout& column : layout_.columns) {
    if (column.spec.width != 0) continue;
    const auto ends = offsets(column);
    const std::uint64_t count = column.data_bytes / element_bytes(column.spec.type);
    if (ends.front() != 0 || ends.back() != count || !std::is_sorted(ends.begin(), ends.end())) {
      found.push_back(fmt::format("{}: the offsets of column \"{}\" do not rise from 0 to {}",
                                  path().string(), column.spec.name, count));
    }
  }
  return found;
}

}  // namespace sbm::data
