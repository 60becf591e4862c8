#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

namespace sbm::data {

/// A regular file, read-only in memory. Movable; the bytes stay where they are.
/// Files may be damaged (every hash is checked), but not changed in place while they are in use;
/// this program itself only ever replaces them by rename. When someone truncates the file while it
/// is mapped, or its disk fails, reading beyond its new end raises SIGBUS; the program explains it
/// and ends with exit code 3 (launch/bus_error.h). The mapping is shared and read-only, by which it
/// is known there. Within its last page a truncated file reads as zeros without any sign.
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
