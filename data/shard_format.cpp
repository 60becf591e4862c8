#include "data/shard_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "data/hash64.h"

namespace sbm::data {
namespace {

static_assert(std::endian::native == std::endian::little, "shards are mapped, not converted");

constexpr char kMagic[] = "SBMSHARD";
constexpr char kEndMagic[] = "SBMSHEND";
constexpr std::uint32_t kByteOrder = 0x01020304;

// Positions in the header.
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kByteOrderAt = 12;
constexpr std::size_t kSamplesAt = 16;
constexpr std::size_t kFileBytesAt = 24;
constexpr std::size_t kPayloadBytesAt = 32;
constexpr std::size_t kBlockBytesAt = 40;
constexpr std::size_t kColumnCountAt = 48;
constexpr std::size_t kSchemaHashAt = 56;
constexpr std::size_t kColumnsAt = 64;
constexpr std::size_t kHeaderHashAt = kShardHeaderBytes - 8;

// Positions in an entry of the column table.
constexpr std::size_t kColumnBytes = 72;
constexpr std::size_t kNameAt = 0;
constexpr std::size_t kTypeAt = 32;
constexpr std::size_t kWidthAt = 36;
constexpr std::size_t kOffsetsBeginAt = 40;
constexpr std::size_t kOffsetsBytesAt = 48;
constexpr std::size_t kDataBeginAt = 56;
constexpr std::size_t kDataBytesAt = 64;
static_assert(kColumnsAt + kShardMaxColumns * kColumnBytes <= kHeaderHashAt);

// Positions in the footer.
constexpr std::size_t kContentHighAt = 0;
constexpr std::size_t kContentLowAt = 8;
constexpr std::size_t kFooterSamplesAt = 16;
constexpr std::size_t kFooterFileBytesAt = 24;
constexpr std::size_t kTableHashAt = 32;
constexpr std::size_t kFooterHashAt = 48;
constexpr std::size_t kEndMagicAt = 56;

template <typename T>
void put(std::span<std::uint8_t> bytes, std::size_t at, T value) {
  std::memcpy(bytes.subspan(at, sizeof value).data(), &value, sizeof value);
}

template <typename T>
T get(std::span<const std::uint8_t> bytes, std::size_t at) {
  T value{};
  std::memcpy(&value, bytes.subspan(at, sizeof value).data(), sizeof value);
  return value;
}

bool has_magic(std::span<const std::uint8_t> bytes, std::size_t at, const char* magic) {
  return std::memcmp(bytes.subspan(at, 8).data(), magic, 8) == 0;
}

bool known_type(std::uint32_t type) {
  return type >= static_cast<std::uint32_t>(ElementType::kU8) &&
         type <= static_cast<std::uint32_t>(ElementType::kF32);
}

bool valid_name(const std::string& name) {
  return !name.empty() && name.size() <= kShardMaxColumnName &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

std::string printable_name(std::span<const std::uint8_t> bytes) {
  std::string name;
  for (const std::uint8_t byte : bytes) {
    if (byte == 0) break;
    name += static_cast<char>(byte);
  }
  return name;
}

// Adds sections up with every step checked: the numbers may come from a hostile file.
class SectionCursor {
 public:
  explicit SectionCursor(const std::string& where) : where_(where) {}

  std::uint64_t place(std::uint64_t bytes) {
    const std::uint64_t begin = end_;
    const auto padded = checked_add(bytes, kShardSectionAlignment - 1);
    const auto end = checked_add(begin, padded.value_or(0) & ~(kShardSectionAlignment - 1));
    if (!padded || !end) fail("the sections are together larger than 2^64 bytes");
    end_ = *end;
    return begin;
  }

  std::uint64_t multiply(std::uint64_t a, std::uint64_t b) const {
    const auto product = checked_multiply(a, b);
    if (!product) fail(fmt::format("{} times {} elements do not fit 64 bits", a, b));
    return *product;
  }

  std::uint64_t add(std::uint64_t a, std::uint64_t b) const {
    const auto sum = checked_add(a, b);
    if (!sum) fail(fmt::format("{} plus {} bytes do not fit 64 bits", a, b));
    return *sum;
  }

  [[noreturn]] void fail(const std::string& reason) const {
    throw DataError(where_ + ": " + reason);
  }

  [[nodiscard]] std::uint64_t end() const { return end_; }

 private:
  const std::string& where_;
  std::uint64_t end_ = kShardHeaderBytes;
};

}  // namespace

ShardLayout lay_out_shard(std::uint64_t samples, const std::vector<ColumnSpec>& specs,
                          const std::vector<std::uint64_t>& data_bytes, const std::string& where) {
  ShardLayout layout;
  layout.samples = samples;
  SectionCursor cursor(where);
  for (std::size_t i = 0; i < specs.size(); ++i) {
    ColumnLayout column{.spec = specs[i], .data_bytes = data_bytes[i]};
    const std::uint64_t element = element_bytes(specs[i].type);
    if (column.data_bytes % element != 0) {
      cursor.fail(fmt::format("column \"{}\" has {} bytes, which is no multiple of {}",
                              specs[i].name, column.data_bytes, element));
    }
    if (specs[i].width == 0) {
      column.offsets_bytes = cursor.multiply(cursor.add(samples, 1), 8);
      column.offsets_begin = cursor.place(column.offsets_bytes);
    } else {
      const std::uint64_t expected =
          cursor.multiply(samples, cursor.multiply(specs[i].width, element));
      if (column.data_bytes != expected) {
        cursor.fail(fmt::format("column \"{}\": expected {} bytes for {} samples, found {}",
                                specs[i].name, expected, samples, column.data_bytes));
      }
    }
    column.data_begin = cursor.place(column.data_bytes);
    layout.columns.push_back(std::move(column));
  }
  layout.payload_bytes = cursor.end();
  layout.blocks = ceil_divide(layout.payload_bytes, kShardBlockBytes);
  layout.file_bytes = cursor.add(
      cursor.add(layout.payload_bytes, cursor.multiply(layout.blocks, 8)), kShardFooterBytes);
  return layout;
}

std::array<std::uint8_t, kShardHeaderBytes> encode_shard_header(const ShardLayout& layout) {
  std::array<std::uint8_t, kShardHeaderBytes> bytes{};
  if (layout.columns.size() > kShardMaxColumns) {
    throw InternalError(fmt::format("a shard has at most {} columns, not {}", kShardMaxColumns,
                                    layout.columns.size()));
  }
  std::memcpy(bytes.data(), kMagic, 8);
  put(bytes, kVersionAt, kShardVersion);
  put(bytes, kByteOrderAt, kByteOrder);
  put(bytes, kSamplesAt, layout.samples);
  put(bytes, kFileBytesAt, layout.file_bytes);
  put(bytes, kPayloadBytesAt, layout.payload_bytes);
  put(bytes, kBlockBytesAt, kShardBlockBytes);
  put(bytes, kColumnCountAt, static_cast<std::uint64_t>(layout.columns.size()));
  std::string schema;
  for (std::size_t i = 0; i < layout.columns.size(); ++i) {
    const ColumnLayout& column = layout.columns[i];
    if (!valid_name(column.spec.name)) {
      throw InternalError(fmt::format("\"{}\" is no column name", column.spec.name));
    }
    const auto entry = std::span(bytes).subspan(kColumnsAt + i * kColumnBytes, kColumnBytes);
    std::memcpy(entry.data() + kNameAt, column.spec.name.data(), column.spec.name.size());
    put(entry, kTypeAt, static_cast<std::uint32_t>(column.spec.type));
    put(entry, kWidthAt, column.spec.width);
    put(entry, kOffsetsBeginAt, column.offsets_begin);
    put(entry, kOffsetsBytesAt, column.offsets_bytes);
    put(entry, kDataBeginAt, column.data_begin);
    put(entry, kDataBytesAt, column.data_bytes);
    schema += fmt::format("{}:{}:{};", column.spec.name,
                          static_cast<std::uint32_t>(column.spec.type), column.spec.width);
  }
  put(bytes, kSchemaHashAt,
      hash64({reinterpret_cast<const std::uint8_t*>(schema.data()), schema.size()}));
  put(bytes, kHeaderHashAt, hash64(std::span(bytes).first(kHeaderHashAt)));
  return bytes;
}

std::array<std::uint8_t, kShardFooterBytes> encode_shard_footer(const ShardFooter& footer) {
  std::array<std::uint8_t, kShardFooterBytes> bytes{};
  put(bytes, kContentHighAt, footer.content.high);
  put(bytes, kContentLowAt, footer.content.low);
  put(bytes, kFooterSamplesAt, footer.samples);
  put(bytes, kFooterFileBytesAt, footer.file_bytes);
  put(bytes, kTableHashAt, footer.table_hash);
  put(bytes, kFooterHashAt, hash64(std::span(bytes).first(kFooterHashAt)));
  std::memcpy(bytes.data() + kEndMagicAt, kEndMagic, 8);
  return bytes;
}

ShardLayout decode_shard_header(std::span<const std::uint8_t> bytes,
                                const std::filesystem::path& path) {
  const auto fail = [&path](const std::string& reason) {
    throw DataError(path.string() + ": " + reason);
  };
  if (bytes.size() < kShardHeaderBytes + kShardFooterBytes) {
    fail(fmt::format("truncated: expected a shard of at least {} bytes, found {}",
                     kShardHeaderBytes + kShardFooterBytes, bytes.size()));
  }
  if (!has_magic(bytes, 0, kMagic)) fail("not a shard: it does not begin with \"SBMSHARD\"");
  const auto version = get<std::uint32_t>(bytes, kVersionAt);
  if (version != kShardVersion) {
    fail(fmt::format("expected shard version {}, found {}", kShardVersion, version));
  }
  const auto header = bytes.first(kShardHeaderBytes);
  const auto stored = get<std::uint64_t>(header, kHeaderHashAt);
  const std::uint64_t computed = hash64(header.first(kHeaderHashAt));
  if (stored != computed) {
    fail(fmt::format("damaged header: its checksum is {:016x}, its bytes give {:016x}", stored,
                     computed));
  }
  const auto file_bytes = get<std::uint64_t>(header, kFileBytesAt);
  if (file_bytes != bytes.size()) {
    fail(fmt::format("the header promises a file of {} bytes, found {}{}", file_bytes, bytes.size(),
                     bytes.size() < file_bytes ? ": it is truncated" : ""));
  }
  const auto column_count = get<std::uint64_t>(header, kColumnCountAt);
  if (column_count > kShardMaxColumns) {
    fail(fmt::format("expected at most {} columns, found {}", kShardMaxColumns, column_count));
  }
  std::vector<ColumnSpec> specs;
  std::vector<std::uint64_t> data_bytes;
  for (std::size_t i = 0; i < column_count; ++i) {
    const auto entry = header.subspan(kColumnsAt + i * kColumnBytes, kColumnBytes);
    ColumnSpec spec;
    spec.name = printable_name(entry.subspan(kNameAt, kShardMaxColumnName));
    const auto type = get<std::uint32_t>(entry, kTypeAt);
    if (!valid_name(spec.name) || !known_type(type)) {
      fail(fmt::format("column {} has no valid name or an unknown element type {}", i, type));
    }
    spec.type = static_cast<ElementType>(type);
    spec.width = get<std::uint32_t>(entry, kWidthAt);
    specs.push_back(std::move(spec));
    data_bytes.push_back(get<std::uint64_t>(entry, kDataBytesAt));
  }
  ShardLayout layout =
      lay_out_shard(get<std::uint64_t>(header, kSamplesAt), specs, data_bytes, path.string());
  if (layout.file_bytes != bytes.size()) {
    fail(fmt::format("the columns and {} samples need a file of {} bytes, found {}", layout.samples,
                     layout.file_bytes, bytes.size()));
  }
  // The positions in the file must be the ones that follow from the sizes, byte for byte.
  const auto canonical = encode_shard_header(layout);
  if (!std::equal(header.begin(), header.end(), canonical.begin())) {
    fail("the header contradicts itself: its positions do not follow from its sizes");
  }
  return layout;
}

ShardFooter decode_shard_footer(std::span<const std::uint8_t> bytes, const ShardLayout& layout,
                                const std::filesystem::path& path) {
  const auto fail = [&path](const std::string& reason) {
    throw DataError(path.string() + ": " + reason);
  };
  const auto tail = bytes.last(kShardFooterBytes);
  if (!has_magic(tail, kEndMagicAt, kEndMagic)) {
    fail("torn or truncated: it does not end with \"SBMSHEND\"");
  }
  ShardFooter footer;
  footer.content = {get<std::uint64_t>(tail, kContentHighAt),
                    get<std::uint64_t>(tail, kContentLowAt)};
  footer.samples = get<std::uint64_t>(tail, kFooterSamplesAt);
  footer.file_bytes = get<std::uint64_t>(tail, kFooterFileBytesAt);
  footer.table_hash = get<std::uint64_t>(tail, kTableHashAt);
  const auto canonical = encode_shard_footer(footer);
  if (!std::equal(tail.begin(), tail.end(), canonical.begin())) {
    fail("damaged footer: its checksum does not match its bytes");
  }
  if (footer.samples != layout.samples || footer.file_bytes != layout.file_bytes) {
    fail(fmt::format("the header has {} samples in {} bytes, the footer {} in {}", layout.samples,
                     layout.file_bytes, footer.samples, footer.file_bytes));
  }
  const std::uint64_t table = hash64(bytes.subspan(layout.payload_bytes, layout.blocks * 8));
  if (table != footer.table_hash) {
    fail(fmt::format("damaged block table: expected checksum {:016x}, found {:016x}",
                     footer.table_hash, table));
  }
  return footer;
}

}  // namespace sbm::data
