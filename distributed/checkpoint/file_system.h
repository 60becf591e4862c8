#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

namespace sbm::distributed::checkpoint {

/// The system calls by which checkpoints touch the disk, one member each, with the conventions of
/// POSIX: a negative result means failure and errno says which. This class makes the real calls;
/// tests override members to fail, cut short or die at any one of them.
class FileSystem {
 public:
  FileSystem() = default;
  FileSystem(const FileSystem&) = delete;
  FileSystem& operator=(const FileSystem&) = delete;
  virtual ~FileSystem() = default;

  virtual int open_at(int directory, const char* name, int flags, mode_t mode);
  virtual ssize_t read_at(int file, void* bytes, std::size_t size, off_t offset);
  virtual ssize_t write(int file, const void* bytes, std::size_t size);
  virtual int sync(int file);
  virtual int close(int file);
  virtual int status(int file, struct stat* result);
  /// Of the entry itself: links are not followed.
  virtual int status_at(int directory, const char* name, struct stat* result);
  virtual int make_directory_at(int directory, const char* name, mode_t mode);
  /// `flags` as renameat2(2).
  virtual int rename_at(int directory, const char* from, const char* to, unsigned flags);
  virtual int link_at(int directory, const char* from, const char* to);
  virtual int unlink_at(int directory, const char* name, int flags);
  /// Names in the directory but "." and "..", in no order.
  virtual int entries(int directory, std::vector<std::string>* names);

  /// The one that makes the real calls.
  static FileSystem& posix();
};

}  // namespace sbm::distributed::checkpoint
