#include "data/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace sbm::data {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* what, int error) {
  throw DataError(path.string() + ": cannot " + what + ": " +
                  std::generic_category().message(error));
}

}  // namespace

DurableFile::DurableFile(std::filesystem::path path)
    : path_(std::move(path)), temporary_(path_.string() + ".tmp") {
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail(temporary_, "create", errno);
}

DurableFile::~DurableFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void DurableFile::write(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      fail(temporary_, "write", errno);
    }
    // POSIX allows 0 for a write of something; going on would loop for ever.
    if (written == 0) fail(temporary_, "write", ENOSPC);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void DurableFile::commit() {
  if (::fsync(descriptor_) != 0) fail(temporary_, "synchronise", errno);
  const int descriptor = std::exchange(descriptor_, -1);
  // Some file systems report a failed write only here.
  const bool closed = ::close(descriptor) == 0;
  if (!closed || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    fail(path_, closed ? "rename the finished file to this name" : "close", error);
  }
  sync_folder(path_.parent_path());
}

void sync_folder(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder.empty() ? "." : folder;
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) fail(path, "open the folder", errno);
  const bool synchronised = ::fsync(descriptor) == 0;
  const int error = errno;
  ::close(descriptor);
  // EINVAL: the file system has nothing to synchronise for a folder.
  if (!synchronised && error != EINVAL) fail(path, "synchronise the folder", error);
}

}  // namespace sbm::data
