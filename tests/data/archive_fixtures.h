#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace sbm::data {

/// Something in an archive that a test makes.
struct ArchivedEntry {
  std::string name{};
  std::string body{};
  unsigned type = AE_IFREG;
  std::string link{};  ///< of a symbolic or hard link
};

enum class ArchiveKind { kTar, kTarGz, kZip };

/// Writes an archive with any names, hostile ones included.
inline void write_archive(const std::filesystem::path& path, ArchiveKind kind,
                          const std::vector<ArchivedEntry>& entries) {
  archive* writer = archive_write_new();
  if (kind == ArchiveKind::kZip) {
    archive_write_set_format_zip(writer);
  } else {
    archive_write_set_format_pax_restricted(writer);
    if (kind == ArchiveKind::kTarGz) archive_write_add_filter_gzip(writer);
  }
  bool good = archive_write_open_filename(writer, path.c_str()) == ARCHIVE_OK;
  for (const ArchivedEntry& one : entries) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, one.name.c_str());
    archive_entry_set_perm(entry, 0644);
    if (one.type == 0) {
      archive_entry_set_filetype(entry, AE_IFREG);
      archive_entry_set_hardlink(entry, one.link.c_str());
    } else {
      archive_entry_set_filetype(entry, one.type);
      if (one.type == AE_IFLNK) archive_entry_set_symlink(entry, one.link.c_str());
    }
    archive_entry_set_size(entry, static_cast<la_int64_t>(one.body.size()));
    good = good && archive_write_header(writer, entry) == ARCHIVE_OK &&
           archive_write_data(writer, one.body.data(), one.body.size()) ==
               static_cast<la_ssize_t>(one.body.size());
    archive_entry_free(entry);
  }
  good = archive_write_close(writer) == ARCHIVE_OK && good;
  archive_write_free(writer);
  if (!good) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace sbm::data
