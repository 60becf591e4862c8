#pragma once

#include <filesystem>

namespace sbm::data {

/// Asks the system to forget what it holds in memory of the regular files below `folder`, so that
/// the next read comes from the disk. Files that somebody has mapped stay. Returns the share of
/// their bytes that is still in memory, as far as the system tells (some tell nothing to those who
/// may not write the files, and a file system in memory forgets nothing). Throws DataError when a
/// file cannot be read.
double forget_cached_pages(const std::filesystem::path& folder);

}  // namespace sbm::data
