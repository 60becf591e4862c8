#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace sbm::data {

/// More than any published archive unpacks to: one that claims more is refused on the way.
constexpr std::uint64_t kMaxUnpackedBytes = std::uint64_t{64} << 30;

struct UnpackRequest {
  std::filesystem::path archive{};  ///< tar, tar.gz or zip, recognised by its contents
  std::string folder{};             ///< which folder of it, at any depth
  std::filesystem::path target{};   ///< appears whole or not at all; must not exist
  std::uint64_t max_bytes = kMaxUnpackedBytes;
};

/// Unpacks the files of one folder of an archive and leaves the rest alone, what a Macintosh adds
/// included. Memory does not grow with the archive. `progress` gets the bytes of the archive read
/// so far now and then, and may throw to give up. Throws DataError when the archive is damaged, has
/// no such folder, has it twice, has a name that leads out of it or is absolute (anywhere), or has
/// something in it that is neither file nor folder, and when the disk is full.
/// A wrong byte inside a tar.gz may pass: libarchive does not look at gzip's checksum, so whoever
/// unpacks one compares the archive's own first.
void unpack_folder(const UnpackRequest& request,
                   const std::function<void(std::uint64_t)>& progress = {});

}  // namespace sbm::data
