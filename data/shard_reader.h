#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/mapped_file.h"
#include "data/shard_format.h"

namespace sbm::data {

/// A column that a reader insists on: its shape, and the range [low, high) of every element.
struct ExpectedColumn {
  ColumnSpec spec;
  std::int64_t low = 0;
  std::int64_t high = 0;
};

/// One mapped shard. Opening checks sizes, header, footer and block table; a block of the payload
/// is hashed, and its elements are checked against their range, when it is first touched. Const
/// members may be called from any thread. Every DataError names the file, what was expected and
/// what was found.
class ShardReader {
 public:
  /// Throws DataError when the file is no sound shard or has other columns than `expected`.
  ShardReader(const std::filesystem::path& path, std::vector<ExpectedColumn> expected);

  [[nodiscard]] std::uint64_t samples() const { return layout_.samples; }
  [[nodiscard]] std::uint64_t file_bytes() const { return layout_.file_bytes; }
  [[nodiscard]] const ContentHash& content() const { return footer_.content; }
  [[nodiscard]] const std::filesystem::path& path() const { return file_.path(); }

  /// The elements of sample `row` in column `column`, whose element type is T. Throws DataError
  /// when a block or an offset is damaged, InternalError when `row` or the type is wrong.
  template <typename T>
  [[nodiscard]] std::span<const T> elements(std::size_t column, std::uint64_t row) const {
    const std::span<const std::uint8_t> bytes = element_span(column, row, sizeof(T));
    // Sections begin at multiples of 4 KiB of a mapping, so every element is aligned.
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }

  /// How many elements sample `row` has in column `column`, whose element type has `element` bytes,
  /// without touching them. Throws as elements().
  [[nodiscard]] std::uint64_t element_count(std::size_t column, std::uint64_t row,
                                            std::uint64_t element) const;

  /// Reads every byte and says all that is wrong; empty when the shard is sound.
  [[nodiscard]] std::vector<std::string> problems() const;

 private:
  /// The first and one past the last element of a sample in its column.
  struct ElementRange {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };
  [[nodiscard]] ElementRange element_range(std::size_t column, std::uint64_t row,
                                           std::uint64_t element) const;
  [[nodiscard]] std::span<const std::uint8_t> element_span(std::size_t column, std::uint64_t row,
                                                           std::uint64_t element) const;
  void touch(std::uint64_t begin, std::uint64_t end) const;
  void verify_block(std::uint64_t block) const;
  void check_range(const ColumnLayout& column, const ExpectedColumn& expected, std::uint64_t begin,
                   std::uint64_t end) const;
  [[nodiscard]] std::span<const std::uint64_t> offsets(const ColumnLayout& column) const;
  [[noreturn]] void fail(const std::string& reason) const;

  MappedFile file_;
  std::vector<ExpectedColumn> expected_;
  ShardLayout layout_;
  ShardFooter footer_;
  std::unique_ptr<std::atomic<bool>[]> verified_;  ///< one a block
};

}  // namespace sbm::data
