#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/hash64.h"
#include "data/shard_reader.h"
#include "data/shard_writer.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const std::vector<ExpectedColumn>& columns() {
  static const std::vector<ExpectedColumn> value = {
      {{.name = "tokens", .type = ElementType::kU16, .width = 0}, 0, 60000},
      {{.name = "label", .type = ElementType::kI32, .width = 1}, -1, 7},
      {{.name = "pixels", .type = ElementType::kU8, .width = 3}, 0, 256}};
  return value;
}

std::vector<ColumnSpec> specs() {
  std::vector<ColumnSpec> result;
  for (const ExpectedColumn& column : columns()) result.push_back(column.spec);
  return result;
}

template <typename T>
std::span<const std::uint8_t> bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(T)};
}

std::vector<std::uint16_t> tokens_of(std::uint64_t row, std::uint64_t longest) {
  std::vector<std::uint16_t> tokens(row * 7919 % (longest + 1));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = static_cast<std::uint16_t>((row * 31 + i * 17) % 60000);
  }
  return tokens;
}

ShardSummary write_shard(const std::filesystem::path& path, std::uint64_t rows,
                         std::uint64_t longest) {
  ShardWriter writer(specs());
  for (std::uint64_t row = 0; row < rows; ++row) {
    writer.append(0, bytes_of(tokens_of(row, longest)));
    writer.append(1, bytes_of(std::vector<std::int32_t>{static_cast<std::int32_t>(row % 8) - 1}));
    writer.append(2, std::vector<std::uint8_t>{static_cast<std::uint8_t>(row), 255, 0});
    writer.end_sample();
  }
  return writer.write(path);
}

// Renews every checksum of a shard after its bytes were changed.
void reseal(std::vector<std::uint8_t>& bytes) {
  const auto put64 = [&bytes](std::size_t at, std::uint64_t value) {
    std::memcpy(bytes.data() + at, &value, 8);
  };
  const auto get64 = [&bytes](std::size_t at) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data() + at, 8);
    return value;
  };
  const std::span<const std::uint8_t> all(bytes);
  put64(4088, hash64(all.first(4088)));
  const std::uint64_t table = bytes.size() - 64;
  const std::uint64_t blocks = (table + kShardBlockBytes - 1) / kShardBlockBytes;
  const std::uint64_t payload = table - 8 * blocks;
  for (std::uint64_t block = 0; block < blocks; ++block) {
    const std::uint64_t begin = block * kShardBlockBytes;
    put64(payload + 8 * block,
          hash64(all.subspan(begin, std::min(kShardBlockBytes, payload - begin))));
  }
  const auto footer = encode_shard_footer({.content = content_hash(std::as_bytes(all.first(table))),
                                           .samples = get64(16),
                                           .file_bytes = get64(24),
                                           .table_hash = hash64(all.subspan(payload, 8 * blocks))});
  std::copy(footer.begin(), footer.end(), bytes.begin() + static_cast<std::ptrdiff_t>(table));
}

template <typename T>
void patch(std::vector<std::uint8_t>& bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

// Several blocks, ragged columns of every length, sections that end anywhere.
TEST(Shard, GivesBackWhatWasWritten) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "shard-00000.sbm";
  for (const auto& [rows, longest] :
       {std::pair<std::uint64_t, std::uint64_t>{0, 5}, {1, 0}, {1, 5}, {300, 40}, {2000, 1500}}) {
    const ShardSummary summary = write_shard(path, rows, longest);
    const ShardReader reader(path, columns());
    ASSERT_EQ(reader.samples(), rows);
    ASSERT_EQ(summary.samples, rows);
    ASSERT_EQ(summary.bytes, std::filesystem::file_size(path));
    ASSERT_EQ(summary.content, reader.content());
    ASSERT_TRUE(reader.problems().empty());
    for (std::uint64_t row = 0; row < rows; ++row) {
      const auto tokens = reader.elements<std::uint16_t>(0, row);
      ASSERT_EQ(std::vector<std::uint16_t>(tokens.begin(), tokens.end()), tokens_of(row, longest));
      ASSERT_EQ(reader.elements<std::int32_t>(1, row)[0], static_cast<std::int32_t>(row % 8) - 1);
      ASSERT_EQ(reader.elements<std::uint8_t>(2, row)[0], static_cast<std::uint8_t>(row));
    }
    EXPECT_THROW((void)reader.elements<std::uint16_t>(0, rows), InternalError);
    if (rows > 0) {
      EXPECT_THROW((void)reader.elements<std::uint8_t>(0, 0), InternalError);
    }
  }
  EXPECT_FALSE(std::filesystem::exists(path.string() + ".tmp"));
}

// docs of the format: magic, 4 KiB alignment of the sections, end magic.
TEST(Shard, HasTheDocumentedLayout) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "shard-00000.sbm";
  write_shard(path, 300, 40);
  const auto bytes = read_bytes(path);
  EXPECT_EQ(std::string(bytes.begin(), bytes.begin() + 8), "SBMSHARD");
  EXPECT_EQ(std::string(bytes.end() - 8, bytes.end()), "SBMSHEND");
  const ShardLayout layout = decode_shard_header(bytes, path);
  ASSERT_EQ(layout.columns.size(), 3U);
  EXPECT_EQ(layout.columns[0].offsets_begin, 4096U);
  EXPECT_EQ(layout.columns[0].offsets_bytes, 301U * 8);
  for (const ColumnLayout& column : layout.columns) EXPECT_EQ(column.data_begin % 4096, 0U);
  EXPECT_EQ(layout.columns[1].data_bytes, 300U * 4);
  EXPECT_EQ(layout.columns[2].data_bytes, 300U * 3);
  EXPECT_EQ(bytes.size(), layout.payload_bytes + 8 * layout.blocks + 64);
}

TEST(Shard, TruncatedAnywhereItIsRefused) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "shard-00000.sbm";
  write_shard(path, 300, 40);
  const auto bytes = read_bytes(path);
  std::vector<std::size_t> lengths = {0, 1, 7, 8, 12, 4095, 4096, 4097, 4159, 4160};
  for (std::size_t length = 0; length < bytes.size(); length += 509) lengths.push_back(length);
  for (std::size_t back = 1; back < 80; ++back) lengths.push_back(bytes.size() - back);
  std::sort(lengths.rbegin(), lengths.rend());
  for (const std::size_t length : lengths) {
    std::filesystem::resize_file(path, length);
    EXPECT_THROW(ShardReader(path, columns()), DataError) << length << " bytes";
  }
  auto longer = bytes;
  longer.push_back(0);
  write_bytes(path, longer);
  EXPECT_THROW(ShardReader(path, columns()), DataError);
}

// Hostile files whose checksums are all right: the numbers themselves must be checked.
TEST(Shard, NumbersThatContradictTheFileAreRefused) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "shard-00000.sbm";
  write_shard(path, 300, 40);
  const auto good = read_bytes(path);
  const auto refused = [&](const char* what, std::size_t at, auto value) {
    auto bytes = good;
    patch(bytes, at, value);
    reseal(bytes);
    write_bytes(path, bytes);
    EXPECT_THROW(ShardReader(path, columns()), DataError) << what;
  };
  constexpr std::uint64_t kHuge = ~std::uint64_t{0};
  refused("version", 8, std::uint32_t{2});
  refused("byte order", 12, std::uint32_t{0x04030201});
  for (const std::uint64_t samples : {kHuge, kHuge - 1, kHuge / 8, std::uint64_t{1} << 61,
                                      std::uint64_t{301}, std::uint64_t{299}, std::uint64_t{0}}) {
    refused("samples", 16, samples);
  }
  for (const std::uint64_t size : {kHuge, std::uint64_t{0}, std::uint64_t{4096}}) {
    refused("file bytes", 24, size);
    refused("payload bytes", 32, size);
    refused("block bytes", 40, size);
  }
  for (const std::uint64_t count : {kHuge, std::uint64_t{33}, std::uint64_t{2}, std::uint64_t{4}}) {
    refused("columns", 48, count);
  }
  refused("schema hash", 56, std::uint64_t{1});
  for (std::size_t column = 0; column < 3; ++column) {
    const std::size_t entry = 64 + column * 72;
    refused("name", entry, 'X');
    refused("name", entry, '\0');
    refused("type", entry + 32, std::uint32_t{0});
    refused("type", entry + 32, std::uint32_t{4});
    refused("width", entry + 36, std::uint32_t{2});
    refused("width", entry + 36, ~std::uint32_t{0});
    for (const std::size_t field : {40U, 48U, 56U, 64U}) {
      refused("position or size", entry + field, kHuge);
      refused("position or size", entry + field, kHuge - 4095);
      refused("position or size", entry + field, std::uint64_t{1} << 63);
      refused("position or size", entry + field, std::uint64_t{12288 + 1});
    }
  }
  refused("after the column table", 64 + 3 * 72 + 5, std::uint8_t{1});
}

TEST(Shard, OffsetsOutsideTheirColumnAreRefused) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "shard-00000.sbm";
  write_shard(path, 300, 40);
  const auto good = read_bytes(path);
  for (const std::uint64_t offset :
       {~std::uint64_t{0}, std::uint64_t{1} << 63, std::uint64_t{1} << 20, std::uint64_t{0}}) {
    auto bytes = good;
    patch(bytes, 4096 + 8 * 7, offset);
    reseal(bytes);
    write_bytes(path, bytes);
    const ShardReader reader(path, columns());
    EXPECT_THAT([&] { (void)reader.elements<std::uint16_t>(0, 6); },
                ThrowsMessage<DataError>(HasSubstr("row 6: offsets")));
    EXPECT_THAT(reader.problems(), ::testing::Contains(HasSubstr("do not rise")));
  }
}

TEST(Shard, ValuesOutOfRangeAreRefused) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "shard-00000.sbm";
  write_shard(path, 300, 40);
  const auto good = read_bytes(path);
  const ShardLayout layout = decode_shard_header(good, path);
  const auto refused = [&](std::size_t at, auto value, const char* message) {
    auto bytes = good;
    patch(bytes, at, value);
    reseal(bytes);
    write_bytes(path, bytes);
    const ShardReader reader(path, columns());
    EXPECT_THAT([&] { (void)reader.elements<std::uint16_t>(0, 3); },
                ThrowsMessage<DataError>(HasSubstr(message)));
    EXPECT_THAT(reader.problems(), ::testing::Contains(HasSubstr(message)));
  };
  refused(layout.columns[0].data_begin + 20, std::uint16_t{60000},
          "column \"tokens\", element 10: expected a value from 0 to 59999, found 60000");
  refused(layout.columns[1].data_begin + 40, std::int32_t{7},
          "column \"label\", element 10: expected a value from -1 to 6, found 7");
  refused(layout.columns[1].data_begin, std::int32_t{-2}, "found -2");
}

TEST(Shard, OtherColumnsThanExpectedAreRefused) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "shard-00000.sbm";
  write_shard(path, 3, 4);
  auto fewer = columns();
  fewer.pop_back();
  EXPECT_THAT(
      [&] { ShardReader(path, fewer); },
      ThrowsMessage<DataError>(HasSubstr("expected the columns tokens u16 ragged; label i32 "
                                         "x1; found tokens u16 ragged; label i32 x1; pixels")));
  auto other = columns();
  other[0].spec.type = ElementType::kU8;
  EXPECT_THROW(ShardReader(path, other), DataError);
}

TEST(Shard, OnlyRegularFilesAreRead) {
  const TemporaryFolder folder;
  EXPECT_THROW(ShardReader(folder.path(), columns()), DataError);
  EXPECT_THROW(ShardReader(folder.path() / "missing", columns()), DataError);
  EXPECT_THROW(ShardReader("/dev/zero", columns()), DataError);
}

TEST(ShardWriter, RefusesAHalfSample) {
  ShardWriter writer(specs());
  writer.append(0, std::vector<std::uint8_t>{1, 2});
  EXPECT_THROW(writer.end_sample(), InternalError);
}

TEST(ShardWriter, SaysWhyItCannotWrite) {
  const TemporaryFolder folder;
  EXPECT_THAT([&] { write_shard(folder.path() / "no/such/folder/shard", 1, 1); },
              ThrowsMessage<DataError>(HasSubstr("No such file or directory")));
}

}  // namespace
}  // namespace sbm::data
