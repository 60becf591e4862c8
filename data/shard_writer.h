#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "base/content_hash.h"
#include "data/shard_format.h"

namespace sbm::data {

/// What the index keeps of a written shard.
struct ShardSummary {
  std::uint64_t samples = 0;
  std::uint64_t bytes = 0;
  ContentHash content;  ///< the one in the footer
};

/// Collects samples column by column and writes them as one shard. Memory: what was appended.
class ShardWriter {
 public:
  explicit ShardWriter(std::vector<ColumnSpec> columns);

  /// Appends elements of the current sample to column `column`; the bytes are elements of the
  /// column's type in native order.
  void append(std::size_t column, std::span<const std::uint8_t> bytes);
  /// Ends the current sample. Throws InternalError when a fixed column did not get its width.
  void end_sample();

  [[nodiscard]] std::uint64_t samples() const { return samples_; }
  /// Bytes of elements and offsets so far: the size of the file but for header, table and padding.
  [[nodiscard]] std::uint64_t bytes() const;

  /// Writes everything to `path` (temporary name, fsync, rename) and begins anew. Throws DataError.
  ShardSummary write(const std::filesystem::path& path);

 private:
  struct Column {
    ColumnSpec spec;
    std::vector<std::uint64_t> offsets{0};
    std::vector<std::uint8_t> data;
  };
  std::vector<Column> columns_;
  std::uint64_t samples_ = 0;
};

}  // namespace sbm::data
