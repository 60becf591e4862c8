#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/published_files.h"

// What `sbm data download` does: the published files of a task, fetched, checked and unpacked.
namespace sbm::data {

/// The file in the folder of all downloads that keeps the SHA-256 of every file, in the form that
/// `sha256sum -c` takes. Where nobody published a checksum, the first download decides.
constexpr char kChecksumsFile[] = "SHA256SUMS";

struct DownloadRequest {
  std::string task{};           ///< one of downloadable_names()
  std::filesystem::path out{};  ///< folder of all downloads; tasks with equal files share them
  /// Another place that has the files under the same names, e.g. a mirror. Empty: the official
  /// addresses.
  std::string base_url{};
};

struct DownloadProgress {
  std::string what{};       ///< the file, and what happens to it
  std::uint64_t bytes = 0;  ///< so far
  std::uint64_t total = 0;  ///< 0: unknown
};

/// How a file is known to be the right one.
enum class ChecksumSource {
  kPublished,  ///< equal to a published checksum
  kRecorded,   ///< nobody published one; equal to what an earlier download found
  kFirst,      ///< nobody published one; recorded now
};

struct DownloadedFile {
  std::string name{};  ///< relative to `out`
  std::string url{};
  std::uint64_t bytes = 0;
  std::string sha256{};
  ChecksumSource checksum = ChecksumSource::kPublished;
  bool was_there = false;  ///< nothing was fetched
};

struct DownloadReport {
  std::vector<DownloadedFile> files{};
  std::filesystem::path place{};  ///< what the next command reads
  std::string next_command{};     ///< how the data set is built from it
};

/// What users should know before they use a task's files. Throws ConfigError on an unknown name.
std::string licence_note(const std::string& task);

/// Fetches what is missing of a task's published files into `out`, checks it, and unpacks it. A
/// file that breaks off is continued by the next call; a file that lies there already, by whatever
/// way it came, is checked like a fetched one. Throws ConfigError on an unknown name, DataError
/// when a file cannot be fetched (saying which file to put where, and what to do then), is not the
/// published one, or cannot be unpacked, and when another download works in `out`.
DownloadReport download(const DownloadRequest& request,
                        const std::function<void(const DownloadProgress&)>& progress = {});

/// The same for files of another place than the table's.
DownloadReport download_source(const PublishedSource& source, const DownloadRequest& request,
                               const std::function<void(const DownloadProgress&)>& progress = {});

}  // namespace sbm::data
