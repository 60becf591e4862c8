#include "data/shard_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "data/durable_file.h"
#include "data/hash64.h"

namespace sbm::data {
namespace {

template <typename T>
std::span<const std::uint8_t> as_bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(T)};
}

// Hashes what passes through: the whole, and each block of the payload.
class HashingFile {
 public:
  explicit HashingFile(const std::filesystem::path& path) : file_(path) {
    block_.reserve(kShardBlockBytes);
  }

  void payload(std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
      const auto part =
          bytes.first(std::min<std::size_t>(bytes.size(), kShardBlockBytes - block_.size()));
      block_.insert(block_.end(), part.begin(), part.end());
      if (block_.size() == kShardBlockBytes) end_block();
      bytes = bytes.subspan(part.size());
      position_ += part.size();
    }
  }

  void pad_to_section() {
    static constexpr std::array<std::uint8_t, kShardSectionAlignment> kZeros{};
    const std::uint64_t over = position_ % kShardSectionAlignment;
    if (over != 0) payload(std::span(kZeros).first(kShardSectionAlignment - over));
  }

  ShardFooter finish(const ShardLayout& layout) {
    if (!block_.empty()) end_block();
    if (position_ != layout.payload_bytes || table_.size() != layout.blocks) {
      throw InternalError(fmt::format("a shard of {} payload bytes was laid out, {} written",
                                      layout.payload_bytes, position_));
    }
    through(as_bytes(table_));
    const ShardFooter footer{.content = hash_.digest(),
                             .samples = layout.samples,
                             .file_bytes = layout.file_bytes,
                             .table_hash = hash64(as_bytes(table_))};
    file_.write(encode_shard_footer(footer));
    file_.commit();
    return footer;
  }

 private:
  void end_block() {
    table_.push_back(hash64(block_));
    through(block_);
    block_.clear();
  }

  void through(std::span<const std::uint8_t> bytes) {
    hash_.update(std::as_bytes(bytes));
    file_.write(bytes);
  }

  DurableFile file_;
  ContentHasher hash_;
  std::vector<std::uint8_t> block_;
  std::vector<std::uint64_t> table_;
  std::uint64_t position_ = 0;
};

}  // namespace

ShardWriter::ShardWriter(std::vector<ColumnSpec> columns) {
  for (ColumnSpec& spec : columns) {
    Column column;
    column.spec = std::move(spec);
    columns_.push_back(std::move(column));
  }
}

void ShardWriter::append(std::size_t column, std::span<const std::uint8_t> bytes) {
  std::vector<std::uint8_t>& data = columns_.at(column).data;
  data.insert(data.end(), bytes.begin(), bytes.end());
}

void ShardWriter::end_sample() {
  ++samples_;
  for (Column& column : columns_) {
    const std::uint64_t element = element_bytes(column.spec.type);
    const bool ragged = column.spec.width == 0;
    if (column.data.size() % element != 0 ||
        (!ragged && column.data.size() != samples_ * column.spec.width * element)) {
      throw InternalError(fmt::format("sample {} has {} bytes in column \"{}\" so far",
                                      samples_ - 1, column.data.size(), column.spec.name));
    }
    if (ragged) column.offsets.push_back(column.data.size() / element);
  }
}

std::uint64_t ShardWriter::bytes() const {
  std::uint64_t total = 0;
  for (const Column& column : columns_) {
    total += column.data.size() + (column.spec.width == 0 ? column.offsets.size() * 8 : 0);
  }
  return total;
}

ShardSummary ShardWriter::write(const std::filesystem::path& path) {
  std::vector<ColumnSpec> specs;
  std::vector<std::uint64_t> sizes;
  for (const Column& column : columns_) {
    specs.push_back(column.spec);
    sizes.push_back(column.data.size());
  }
  const ShardLayout layout = lay_out_shard(samples_, specs, sizes, path.string());
  HashingFile file(path);
  file.payload(encode_shard_header(layout));
  for (Column& column : columns_) {
    if (column.spec.width == 0) {
      file.payload(as_bytes(column.offsets));
      file.pad_to_section();
    }
    file.payload(column.data);
    file.pad_to_section();
    column.offsets.assign(1, 0);
    column.data.clear();
  }
  const ShardFooter footer = file.finish(layout);
  samples_ = 0;
  return {.samples = footer.samples, .bytes = footer.file_bytes, .content = footer.content};
}

}  // namespace sbm::data
