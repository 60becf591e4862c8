#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Where the published files of each task lie, for `sbm data download`.
namespace sbm::data {

/// One file as its authors distribute it.
struct PublishedFile {
  std::string_view name{};  ///< where it is put, relative to the folder of all downloads
  std::string_view url{};
  std::uint64_t bytes = 0;    ///< 0: nobody published it
  std::string_view sha256{};  ///< lower-case hexadecimal; empty: nobody published it
  std::string_view md5{};     ///< the same
  /// Of an archive: the folder in it, at any depth, that is unpacked beside it under its own name.
  std::string_view folder{};
};

/// What one task, or several with the same files, is built from.
struct PublishedSource {
  std::vector<std::string_view> tasks{};
  std::vector<PublishedFile> files{};
  std::string_view licence{};  ///< what to know before the files are used, one sentence or more
  std::string_view place{};    ///< what to build from, relative to the folder of all downloads
  bool is_vocabulary = false;  ///< `place` is for --vocab, not for --source
  bool is_mrpc = false;        ///< the files are arranged as GLUE wants them (mrpc_files.h)
};

/// All of them.
const std::vector<PublishedSource>& published_sources();

/// The names that may be asked for: tasks, and the vocabularies "bert/uncased" and "bert/cased".
std::vector<std::string> downloadable_names();

/// Throws ConfigError, listing the known names; of a task that is always generated it says so.
const PublishedSource& find_published_source(const std::string& name);

}  // namespace sbm::data
