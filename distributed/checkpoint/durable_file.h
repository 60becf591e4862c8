#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "distributed/checkpoint/file_system.h"

// Files and folders that survive a crash, and that cannot be led astray: names are plain, links are
// not followed, whole counts are written and read, every result is checked.
namespace sbm::distributed::checkpoint {

/// A system call that failed, as a value: which one, on what, and its errno.
class FileError : public CheckpointError {
 public:
  FileError(std::string operation, std::string path, int code);

  [[nodiscard]] const std::string& operation() const { return operation_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int code() const { return code_; }  ///< errno

 private:
  std::string operation_;
  std::string path_;
  int code_;
};

/// Whether `name` may name a file of a checkpoint: 1 to 128 of [A-Za-z0-9._-], no leading dot.
bool is_plain_name(std::string_view name);

class Directory;

/// An open regular file. Destroyed without close(): closed, the result ignored.
class File {
 public:
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  [[nodiscard]] const std::string& path() const { return path_; }
  /// Size when it was opened; 0 for a file being written.
  [[nodiscard]] std::uint64_t size() const { return size_; }

  /// Appends all bytes. Throws FileError.
  void write(std::span<const std::byte> bytes);
  /// Fills `bytes` from `offset`. Throws FileError; CheckpointError when the file ends before.
  void read(std::uint64_t offset, std::span<std::byte> bytes) const;
  /// fsync. Never called twice after a failure: the kernel may have dropped the pages.
  void sync();
  /// Some file systems report a full disk only here.
  void close();

 private:
  friend class Directory;
  File(FileSystem& system, int descriptor, std::string path, std::uint64_t size);

  FileSystem* system_;
  int descriptor_;
  std::string path_;
  std::uint64_t size_;
};

/// An open folder, through which everything in it is reached. Names must be plain (is_plain_name),
/// else CheckpointError. Every member throws FileError when its call fails.
class Directory {
 public:
  /// The user's own path: links on the way are followed.
  static Directory open(FileSystem& system, const std::filesystem::path& path);
  /// The same, after making it and its missing parents, each durable in its parent.
  static Directory open_or_create(FileSystem& system, const std::filesystem::path& path);

  Directory(Directory&& other) noexcept;
  Directory& operator=(Directory&& other) noexcept;
  ~Directory();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  [[nodiscard]] Directory open_directory(const std::string& name) const;
  /// Mode 0700: what is trained here is nobody else's business.
  void make_directory(const std::string& name) const;
  /// A new file, mode 0600; an existing one is an error.
  [[nodiscard]] File create_file(const std::string& name, mode_t mode = 0600) const;
  /// An existing regular file to read. Anything else (link, device, FIFO) is a CheckpointError.
  [[nodiscard]] File open_file(const std::string& name) const;
  /// The whole of a file of at most `limit` bytes; CheckpointError when it is longer.
  [[nodiscard]] std::string read_file(const std::string& name, std::uint64_t limit) const;
  /// Creates, writes, syncs and closes.
  void write_file(const std::string& name, std::string_view text) const;

  [[nodiscard]] bool exists(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> names() const;  ///< sorted

  /// Renames, never over something that exists (then FileError with EEXIST).
  void rename(const std::string& from, const std::string& to) const;
  void remove_file(const std::string& name) const;
  /// A folder with the files in it; folders inside make it fail, as no checkpoint has any.
  void remove_folder(const std::string& name) const;
  void sync() const;

 private:
  Directory(FileSystem& system, int descriptor, std::filesystem::path path);
  [[nodiscard]] std::string child(std::string_view name) const;
  [[nodiscard]] std::string checked(const std::string& name) const;
  void unlink(const std::string& name, int flags) const;

  FileSystem* system_;
  int descriptor_;
  std::filesystem::path path_;
};

}  // namespace sbm::distributed::checkpoint
