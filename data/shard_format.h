#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/content_hash.h"

// A shard file, little-endian throughout:
//
//   header    4 KiB: magic "SBMSHARD", version, byte order, samples, sizes, column table, XXH3-64
//   sections  each begins at a multiple of 4 KiB: for a ragged column first u64 offsets[samples+1],
//             counted in elements, then the elements; for a fixed column the elements
//   table     XXH3-64 of every 1 MiB block of header and sections (the last one may be shorter)
//   footer    64 bytes: XXH3-128 of all before it, samples, file bytes, XXH3-64 of the table, zero,
//             XXH3-64 of the footer so far, end magic "SBMSHEND"
//
// Every byte is covered by a hash, and all positions follow from the column table alone, so a file
// whose numbers contradict one another is recognised before any of them is used.
namespace sbm::data {

constexpr std::uint32_t kShardVersion = 1;
constexpr std::uint64_t kShardHeaderBytes = 4096;
constexpr std::uint64_t kShardSectionAlignment = 4096;
constexpr std::uint64_t kShardBlockBytes = std::uint64_t{1} << 20;
constexpr std::uint64_t kShardFooterBytes = 64;
constexpr std::size_t kShardMaxColumns = 32;
constexpr std::size_t kShardMaxColumnName = 31;

/// What a column holds. The numbers are part of the format.
enum class ElementType : std::uint32_t { kU8 = 1, kU16 = 2, kI32 = 3, kF32 = 4 };

[[nodiscard]] constexpr std::uint64_t element_bytes(ElementType type) {
  return type == ElementType::kU8 ? 1 : type == ElementType::kU16 ? 2 : 4;
}

/// Name and shape of a column.
struct ColumnSpec {
  std::string name;  ///< lower-case letters and '_', at most 31
  ElementType type = ElementType::kU8;
  std::uint32_t width = 0;  ///< elements a sample; 0: ragged, as many as its offsets say
  friend bool operator==(const ColumnSpec&, const ColumnSpec&) = default;
};

/// Where a column lies in the file; positions and sizes in bytes.
struct ColumnLayout {
  ColumnSpec spec;
  std::uint64_t offsets_begin = 0;  ///< ragged only
  std::uint64_t offsets_bytes = 0;  ///< ragged only
  std::uint64_t data_begin = 0;
  std::uint64_t data_bytes = 0;
};

struct ShardLayout {
  std::uint64_t samples = 0;
  std::vector<ColumnLayout> columns;
  std::uint64_t payload_bytes = 0;  ///< header and sections: what the block table covers
  std::uint64_t blocks = 0;
  std::uint64_t file_bytes = 0;
};

struct ShardFooter {
  ContentHash content;  ///< of everything before the footer
  std::uint64_t samples = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t table_hash = 0;
};

/// The one layout of a shard with these columns and `data_bytes` of elements in each. Throws
/// DataError, beginning with `where`, when the sizes are impossible.
ShardLayout lay_out_shard(std::uint64_t samples, const std::vector<ColumnSpec>& specs,
                          const std::vector<std::uint64_t>& data_bytes, const std::string& where);

std::array<std::uint8_t, kShardHeaderBytes> encode_shard_header(const ShardLayout& layout);
std::array<std::uint8_t, kShardFooterBytes> encode_shard_footer(const ShardFooter& footer);

/// Reads and checks the header of the whole file `bytes`: afterwards every position and size of the
/// layout lies inside `bytes`. Throws DataError naming `path`, what was expected, what was found.
ShardLayout decode_shard_header(std::span<const std::uint8_t> bytes,
                                const std::filesystem::path& path);

/// Reads and checks the footer against `layout`. Throws DataError.
ShardFooter decode_shard_footer(std::span<const std::uint8_t> bytes, const ShardLayout& layout,
                                const std::filesystem::path& path);

}  // namespace sbm::data
