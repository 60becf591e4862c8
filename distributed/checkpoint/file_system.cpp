#include "distributed/checkpoint/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string_view>

namespace sbm::distributed::checkpoint {

int FileSystem::open_at(int directory, const char* name, int flags, mode_t mode) {
  return ::openat(directory, name, flags, mode);
}

ssize_t FileSystem::read_at(int file, void* bytes, std::size_t size, off_t offset) {
  return ::pread(file, bytes, size, offset);
}

ssize_t FileSystem::write(int file, const void* bytes, std::size_t size) {
  return ::write(file, bytes, size);
}

int FileSystem::sync(int file) { return ::fsync(file); }

int FileSystem::close(int file) { return ::close(file); }

int FileSystem::status(int file, struct stat* result) { return ::fstat(file, result); }

int FileSystem::status_at(int directory, const char* name, struct stat* result) {
  return ::fstatat(directory, name, result, AT_SYMLINK_NOFOLLOW);
}

int FileSystem::make_directory_at(int directory, const char* name, mode_t mode) {
  return ::mkdirat(directory, name, mode);
}

int FileSystem::rename_at(int directory, const char* from, const char* to, unsigned flags) {
  return ::renameat2(directory, from, directory, to, flags);
}

int FileSystem::link_at(int directory, const char* from, const char* to) {
  return ::linkat(directory, from, directory, to, 0);
}

int FileSystem::unlink_at(int directory, const char* name, int flags) {
  return ::unlinkat(directory, name, flags);
}

int FileSystem::entries(int directory, std::vector<std::string>* names) {
  // A descriptor of its own, because the stream closes the one it gets and moves its position.
  const int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return -1;
  DIR* stream = ::fdopendir(copy);
  if (stream == nullptr) {
    const int code = errno;
    ::close(copy);
    errno = code;
    return -1;
  }
  names->clear();
  errno = 0;
  // The stream belongs to this call alone, which is all that readdir needs to be safe.
  while (const dirent* entry = ::readdir(stream)) {  // NOLINT(concurrency-mt-unsafe)
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names->emplace_back(name);
  }
  const int code = errno;
  ::closedir(stream);
  errno = code;
  return code == 0 ? 0 : -1;
}

FileSystem& FileSystem::posix() {
  static FileSystem instance;
  return instance;
}

}  // namespace sbm::distributed::checkpoint
