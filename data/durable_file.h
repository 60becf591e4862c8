#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

namespace sbm::data {

/// A file that appears under its name only when it is complete and on disk: written as
/// `<name>.tmp`, synchronised, renamed, and the folder synchronised. Dropped without commit(), it
/// leaves nothing behind. Every failure is a DataError that names the file and the reason.
class DurableFile {
 public:
  explicit DurableFile(std::filesystem::path path);
  ~DurableFile();
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;

  void write(std::span<const std::uint8_t> bytes);
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
};

/// Makes the names in `folder` last: fsync of the directory. Throws DataError.
void sync_folder(const std::filesystem::path& folder);

}  // namespace sbm::data
