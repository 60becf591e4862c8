#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/hash64.h"
#include "data/shard_reader.h"
#include "tests/fuzz/target.h"

// A shard. Its checksums would stop every changed byte at the door, so most inputs get sums that
// are right. First byte % 3:
//   0  the rest is the file, as it is
//   1  the rest is the file, but for its sums
//   2  the rest is the sizes and the payload of a file whose header and sums are made from them
namespace sbm::fuzz {
namespace {

using data::ColumnSpec;
using data::ElementType;
using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kSamplesAt = 16;
constexpr std::size_t kMaxFile = std::size_t{1} << 20;  // one block
constexpr std::uint64_t kMaxRows = 256;

template <typename T>
void put(Bytes& bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

// Makes every sum of a file of one block the right one.
void seal(Bytes& bytes) {
  constexpr std::size_t kTail = 8 + data::kShardFooterBytes;
  if (bytes.size() < data::kShardHeaderBytes + kTail || bytes.size() > kMaxFile) return;
  const std::span<const std::uint8_t> all(bytes);
  constexpr std::size_t kHeaderSumAt = data::kShardHeaderBytes - 8;
  put(bytes, kHeaderSumAt, data::hash64(all.first(kHeaderSumAt)));
  const std::size_t payload = bytes.size() - kTail;
  put(bytes, payload, data::hash64(all.first(payload)));
  data::ShardFooter footer;
  std::memcpy(&footer.samples, bytes.data() + kSamplesAt, sizeof footer.samples);
  footer.file_bytes = bytes.size();
  footer.content = content_hash(std::as_bytes(all.first(payload + 8)));
  footer.table_hash = data::hash64(all.subspan(payload, 8));
  const auto encoded = data::encode_shard_footer(footer);
  std::copy(encoded.begin(), encoded.end(), bytes.end() - std::ssize(encoded));
}

// The columns that real data have.
std::vector<data::ExpectedColumn> columns(unsigned choice) {
  const data::ExpectedColumn bytes{{"tokens", ElementType::kU8, 0}, 0, 200};
  const data::ExpectedColumn words{{"tokens", ElementType::kU16, 0}, 0, 30522};
  switch (choice % 4) {
    case 0:
      return {bytes, {{"label", ElementType::kI32, 1}, 0, 10}};
    case 1:
      return {bytes, {{"token_labels", ElementType::kU8, 0}, 0, 2}};
    case 2:
      return {words,
              {{"score", ElementType::kF32, 1}, -1000000, 1000000},
              {{"first_length", ElementType::kI32, 1}, 1, INT32_MAX}};
    default:
      return {bytes};
  }
}

Bytes made_from_sizes(Input& input, const std::vector<data::ExpectedColumn>& expected) {
  const std::uint64_t samples = input.number(input.byte() % 2 == 0 ? 1 : 8);
  std::vector<ColumnSpec> specs;
  std::vector<std::uint64_t> sizes;
  for (const data::ExpectedColumn& column : expected) {
    specs.push_back(column.spec);
    sizes.push_back(column.spec.width == 0
                        ? input.number(input.byte() % 2 == 0 ? 1 : 8)
                        : samples * column.spec.width * data::element_bytes(column.spec.type));
  }
  const data::ShardLayout layout = data::lay_out_shard(samples, specs, sizes, "sizes");
  const auto header = data::encode_shard_header(layout);
  // A header may promise anything; what is too large to make stays a promise.
  Bytes bytes(std::min<std::uint64_t>(layout.file_bytes, std::size_t{1} << 17));
  if (bytes.size() < header.size()) bytes.resize(header.size());
  std::copy(header.begin(), header.end(), bytes.begin());
  for (const data::ColumnLayout& column : layout.columns) {
    for (const auto& [begin, size] : {std::pair(column.offsets_begin, column.offsets_bytes),
                                      std::pair(column.data_begin, column.data_bytes)}) {
      for (std::uint64_t i = 0; i < size && begin + i < bytes.size(); ++i) {
        // Offsets are small numbers, or nearly every one would point outside.
        const bool is_offset = begin == column.offsets_begin && column.spec.width == 0;
        if (!is_offset || i % 8 == 0) bytes[begin + i] = input.byte();
      }
    }
  }
  return bytes;
}

template <typename T>
void check_elements(const data::ShardReader& reader, std::size_t column,
                    const data::ExpectedColumn& expected, bool sound) {
  for (std::uint64_t row = 0; row < std::min(reader.samples(), kMaxRows); ++row) {
    try {
      for (const T value : reader.elements<T>(column, row)) {
        require(value >= static_cast<T>(expected.low) &&
                    (expected.high > 65535 || value < static_cast<T>(expected.high)),
                "elements lie within their range");
      }
    } catch (const DataError&) {
      require(!sound, "a sound shard can be read");
    }
  }
}

void check_reader(const std::filesystem::path& path,
                  const std::vector<data::ExpectedColumn>& expected) {
  const data::ShardReader reader(path, expected);
  const bool sound = reader.problems().empty();
  for (std::size_t i = 0; i < expected.size(); ++i) {
    switch (expected[i].spec.type) {
      case ElementType::kU8:
        check_elements<std::uint8_t>(reader, i, expected[i], sound);
        break;
      case ElementType::kU16:
        check_elements<std::uint16_t>(reader, i, expected[i], sound);
        break;
      case ElementType::kI32:
        check_elements<std::int32_t>(reader, i, expected[i], sound);
        break;
      case ElementType::kF32:
        check_elements<float>(reader, i, expected[i], sound);
        break;
    }
  }
}

}  // namespace
}  // namespace sbm::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sbm::fuzz;
  static InputFile file;
  Input input(data, size);
  const std::uint8_t mode = input.byte();
  const auto expected = columns(mode / 3U);
  try {
    std::vector<std::uint8_t> bytes;
    if (mode % 3 == 2) {
      bytes = made_from_sizes(input, expected);
    } else {
      bytes.assign(input.rest().begin(), input.rest().end());
    }
    if (mode % 3 != 0) seal(bytes);
    file.set(bytes);
    check_reader(file.path(), expected);
  } catch (const sbm::DataError&) {
  }
  return 0;
}
