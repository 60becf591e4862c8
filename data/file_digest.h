#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace sbm::data {

/// What others publish to tell whether a file is the right one; lower-case hexadecimal.
struct FileDigest {
  std::string sha256;
  std::string md5;
};

/// Reads the whole file; `md5` stays empty unless asked for, since a system may forbid it.
/// `progress` gets the bytes so far now and then, and may throw to give up. Throws DataError.
FileDigest digest_file(const std::filesystem::path& path, bool with_md5,
                       const std::function<void(std::uint64_t)>& progress = {});

}  // namespace sbm::data
