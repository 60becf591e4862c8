#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

namespace sbm::data {

/// A regular file, read-only in memory. Movable; the bytes stay where they are.
/// A known limit: when someone truncates the file while it is mapped, reading beyond its new end
/// ends the process with SIGBUS. Files may be damaged (every hash is checked), but not changed in
/// place while they are in use; this program itself only ever replaces them by rename.
class MappedFile {
 public:
  /// Throws DataError, naming the file and the reason, when it cannot be opened or is no regular
  /// file.
  explicit MappedFile(std::filesystem::path path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return bytes_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  void release() noexcept;

  std::filesystem::path path_;
  std::span<const std::uint8_t> bytes_;
};

}  // namespace sbm::data
