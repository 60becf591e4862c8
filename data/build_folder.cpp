#include "data/build_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <random>
#include <string>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "data/durable_file.h"

namespace sbm::data {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* what, int error) {
  throw DataError(fmt::format("{}: cannot {}: {}", path.string(), what,
                              std::generic_category().message(error)));
}

std::string prefix(const std::filesystem::path& target) {
  return fmt::format(".{}.building-", target.filename().string());
}

int open_folder(const std::filesystem::path& path) {
  return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

// Whether `descriptor` is still what `path` names.
bool still_there(int descriptor, const std::filesystem::path& path) {
  struct stat by_descriptor {};
  struct stat by_name {};
  return ::fstat(descriptor, &by_descriptor) == 0 && ::lstat(path.c_str(), &by_name) == 0 &&
         by_descriptor.st_dev == by_name.st_dev && by_descriptor.st_ino == by_name.st_ino;
}

}  // namespace

BuildFolder::BuildFolder(std::filesystem::path target) : target_(std::move(target)) {
  std::error_code error;
  std::filesystem::create_directories(target_.parent_path(), error);
  if (error) fail(target_.parent_path(), "create the folder", error.value());
  remove_leftovers();
  create();
}

void BuildFolder::create() {
  std::random_device random;
  for (;;) {
    path_ = target_.parent_path() / (prefix(target_) + fmt::format("{:08x}", random()));
    if (::mkdir(path_.c_str(), 0777) != 0) {
      if (errno == EEXIST) continue;
      fail(path_, "create the folder", errno);
    }
    lock_ = open_folder(path_);
    // Between creation and lock a cleaning neighbour may take the folder for a leftover.
    if (lock_ >= 0 && ::flock(lock_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      ::close(std::exchange(lock_, -1));
      continue;
    }
    if (lock_ >= 0 && still_there(lock_, path_)) return;
    if (lock_ >= 0) {
      ::close(std::exchange(lock_, -1));
    } else if (errno != ENOENT) {
      fail(path_, "open the folder", errno);
    }
  }
}

void BuildFolder::remove_leftovers() const {
  std::error_code ignored;
  // Not a range-for: its increment throws, and what cannot be listed is no reason not to build.
  const std::filesystem::directory_iterator end;
  for (std::filesystem::directory_iterator entry(target_.parent_path(), ignored); entry != end;
       entry.increment(ignored)) {
    const std::filesystem::path& path = entry->path();
    if (!path.filename().string().starts_with(prefix(target_))) continue;
    const int descriptor = open_folder(path);
    if (descriptor < 0) continue;
    // The lock of a living builder holds; where locks do not work, nothing is removed.
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) {
      std::filesystem::remove_all(path, ignored);
    }
    ::close(descriptor);
  }
}

BuildFolder::~BuildFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  if (lock_ >= 0) ::close(lock_);
}

bool BuildFolder::publish() {
  sync_folder(path_);
  // rename() replaces an empty folder but never one with contents.
  if (::rename(path_.c_str(), target_.c_str()) != 0) {
    if (errno == ENOTEMPTY || errno == EEXIST) return false;
    fail(target_, "give the finished folder this name", errno);
  }
  path_.clear();
  sync_folder(target_.parent_path());
  return true;
}

}  // namespace sbm::data
