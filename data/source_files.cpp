#include "data/source_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>
#include <system_error>
#include <utility>

#include "base/content_hash.h"
#include "base/error.h"
#include "data/mapped_file.h"
#include "data/ordered_blocks.h"

namespace sbm::data {
namespace {

constexpr std::uint64_t kFilesPerBlock = 256;

struct BlockHash {
  std::uint64_t bytes = 0;
  std::string hashes;
};

BlockHash hash_block(const std::filesystem::path& folder, const std::vector<std::string>& names,
                     std::uint64_t block) {
  BlockHash result;
  const std::uint64_t begin = block * kFilesPerBlock;
  const std::uint64_t end = std::min<std::uint64_t>(begin + kFilesPerBlock, names.size());
  for (std::uint64_t i = begin; i < end; ++i) {
    std::error_code ignored;
    ContentHash hash = content_hash(std::span<const std::byte>());
    if (std::filesystem::exists(folder / names[i], ignored)) {
      const MappedFile file(folder / names[i]);
      hash = content_hash(std::as_bytes(file.bytes()));
      result.bytes += file.bytes().size();
    }
    result.hashes += names[i] + "\n" + hash.hex() + "\n";
  }
  return result;
}

}  // namespace

SourceDescription describe_source_file(const std::filesystem::path& folder,
                                       const std::string& name) {
  const MappedFile file(folder / name);
  return {.name = name,
          .bytes = file.bytes().size(),
          .xxh3_128 = content_hash(std::as_bytes(file.bytes())).hex()};
}

std::vector<std::string> list_text_files(const std::filesystem::path& root,
                                         const std::string& subfolder) {
  const std::filesystem::path folder = subfolder.empty() ? root : root / subfolder;
  std::vector<std::pair<std::uint64_t, std::string>> found;
  std::error_code error;
  auto entry = std::filesystem::directory_iterator(folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (entry->path().extension() != ".txt") continue;
    std::string name = entry->path().filename().string();
    std::uint64_t number = UINT64_MAX;
    std::from_chars(name.data(), name.data() + name.size(), number);
    found.emplace_back(number, std::move(name));
  }
  if (error) {
    throw DataError(
        fmt::format("{}: cannot list the folder: {}", folder.string(), error.message()));
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> names;
  names.reserve(found.size());
  const std::string prefix = subfolder.empty() ? "" : subfolder + "/";
  for (const auto& [number, name] : found) names.push_back(prefix + name);
  return names;
}

SourceDescription describe_source_files(const std::string& title,
                                        const std::filesystem::path& folder,
                                        const std::vector<std::string>& names, int threads) {
  SourceDescription description{.name = fmt::format("{} ({} files)", title, names.size())};
  ContentHasher hasher;
  std::uint64_t taken = 0;
  if (!names.empty()) {
    OrderedBlocks<BlockHash>::run(
        threads,
        [&](std::uint64_t block) -> BlockHash {
          if (block * kFilesPerBlock >= names.size()) return {};
          return hash_block(folder, names, block);
        },
        [&](const BlockHash& block) {
          description.bytes += block.bytes;
          hasher.update(std::as_bytes(std::span(block.hashes)));
          taken += kFilesPerBlock;
          return taken < names.size();
        });
  }
  description.xxh3_128 = hasher.digest().hex();
  return description;
}

std::filesystem::path find_source_folder(const std::filesystem::path& source,
                                         std::initializer_list<const char*> subfolders,
                                         const std::string& marker) {
  std::string places;
  for (const char* subfolder : subfolders) {
    std::filesystem::path folder = *subfolder == '\0' ? source : source / subfolder;
    std::error_code ignored;
    if (std::filesystem::exists(folder / marker, ignored)) return folder;
    places += (places.empty() ? "" : " or ") + (folder / marker).string();
  }
  throw DataError(fmt::format("expected {}, found no such file", places));
}

}  // namespace sbm::data
