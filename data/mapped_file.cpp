#include "data/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/checked.h"
#include "base/error.h"

namespace sbm::data {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* what, int error) {
  throw DataError(path.string() + ": cannot " + what + ": " +
                  std::generic_category().message(error));
}

}  // namespace

MappedFile::MappedFile(std::filesystem::path path) : path_(std::move(path)) {
  // O_NONBLOCK: a named pipe in the place of a file must not make the program wait for ever.
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) fail(path_, "open", errno);
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) {
    const int error = errno;
    ::close(descriptor);
    fail(path_, "examine", error);
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(descriptor);
    throw DataError(path_.string() + ": expected a regular file");
  }
  const auto size = checked_cast<std::size_t>(status.st_size, "file size");
  if (size > 0) {
    void* address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor, 0);
    const int error = errno;
    ::close(descriptor);
    if (address == MAP_FAILED) fail(path_, "map", error);
    bytes_ = {static_cast<const std::uint8_t*>(address), size};
  } else {
    ::close(descriptor);
  }
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    release();
    path_ = std::move(other.path_);
    bytes_ = std::exchange(other.bytes_, {});
  }
  return *this;
}

MappedFile::~MappedFile() { release(); }

void MappedFile::release() noexcept {
  // The mapping was made by this object and is written by nobody; munmap only wants it non-const.
  if (!bytes_.empty()) ::munmap(const_cast<std::uint8_t*>(bytes_.data()), bytes_.size());
  bytes_ = {};
}

}  // namespace sbm::data
