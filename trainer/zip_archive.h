#pragma once

#include <string>
#include <vector>

namespace sbm::trainer {

/// A file of an archive.
struct ZipEntry {
  std::string name;
  std::string text;
};

/// The bytes of a ZIP archive of these files, in this order. They follow from names and texts
/// alone: no clock, no user, and nothing compressed, which libraries do differently. Throws
/// ConfigError when two names are equal and InternalError when libzip fails.
std::string zip_archive(const std::vector<ZipEntry>& entries);

}  // namespace sbm::trainer
