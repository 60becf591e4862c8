#pragma once

#include <filesystem>
#include <string_view>

#include "data/durable_file.h"

// Files that a run or a command gives to people. When the disk is full or rights are missing, a
// path that the command line named cannot be used: every failure is a ConfigError that names the
// path, what was tried and the system's reason.
namespace sbm::trainer {

/// A file that appears under its name only when it is whole and on disk; dropped without commit(),
/// it leaves what was there before (data::DurableFile).
class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& path);

  void write(std::string_view text);
  void commit();

 private:
  data::DurableFile file_;
};

/// Makes or replaces `path` by a file with this text, as an OutputFile.
void replace_file(const std::filesystem::path& path, std::string_view text);

/// A file that grows at its end; each append is handed to the system before it returns, so a killed
/// process loses nothing of it.
class AppendedFile {
 public:
  /// Made when it is not there yet.
  explicit AppendedFile(std::filesystem::path path);
  ~AppendedFile();
  AppendedFile(const AppendedFile&) = delete;
  AppendedFile& operator=(const AppendedFile&) = delete;

  void append(std::string_view text);

 private:
  std::filesystem::path path_;
  int descriptor_;
};

}  // namespace sbm::trainer
