#include "distributed/checkpoint/durable_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "distributed/checkpoint/printable.h"

namespace sbm::distributed::checkpoint {
namespace {

// Bounds one system call; Linux moves at most 2 GiB less a page at a time anyway.
constexpr std::size_t kLargestTransfer = std::size_t{1} << 30;

template <typename Call>
auto retry_interrupted(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace

FileError::FileError(std::string operation, std::string path, int code)
    : CheckpointError(fmt::format("{} {}: {} (errno {})", operation, path,
                                  std::system_category().message(code), code)),
      operation_(std::move(operation)),
      path_(std::move(path)),
      code_(code) {}

bool is_plain_name(std::string_view name) {
  const auto allowed = [](char symbol) {
    return (symbol >= 'a' && symbol <= 'z') || (symbol >= 'A' && symbol <= 'Z') ||
           (symbol >= '0' && symbol <= '9') || symbol == '.' || symbol == '_' || symbol == '-';
  };
  return !name.empty() && name.size() <= 128 && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), allowed);
}

File::File(FileSystem& system, int descriptor, std::string path, std::uint64_t size)
    : system_(&system), descriptor_(descriptor), path_(std::move(path)), size_(size) {}

File::File(File&& other) noexcept
    : system_(other.system_),
      descriptor_(std::exchange(other.descriptor_, -1)),
      path_(std::move(other.path_)),
      size_(other.size_) {}

File& File::operator=(File&& other) noexcept {
  std::swap(system_, other.system_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  std::swap(size_, other.size_);
  return *this;
}

File::~File() {
  if (descriptor_ >= 0) system_->close(descriptor_);
}

void File::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t size = std::min(bytes.size(), kLargestTransfer);
    const ssize_t written =
        retry_interrupted([&] { return system_->write(descriptor_, bytes.data(), size); });
    if (written < 0) throw FileError("write", path_, errno);
    // POSIX allows 0 for a write of something; going on would loop for ever.
    if (written == 0) throw FileError("write", path_, ENOSPC);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void File::read(std::uint64_t offset, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const std::size_t size = std::min(bytes.size(), kLargestTransfer);
    const ssize_t count = retry_interrupted([&] {
      return system_->read_at(descriptor_, bytes.data(), size, static_cast<off_t>(offset));
    });
    if (count < 0) throw FileError("read", path_, errno);
    if (count == 0) {
      throw CheckpointError(fmt::format("{}: the file ends at byte {}, {} more were expected",
                                        path_, offset, bytes.size()));
    }
    offset += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void File::sync() {
  if (system_->sync(descriptor_) != 0) throw FileError("fsync", path_, errno);
}

void File::close() {
  const int descriptor = std::exchange(descriptor_, -1);
  // Linux has let go of the descriptor even when it was interrupted.
  if (system_->close(descriptor) != 0 && errno != EINTR) throw FileError("close", path_, errno);
}

Directory::Directory(FileSystem& system, int descriptor, std::filesystem::path path)
    : system_(&system), descriptor_(descriptor), path_(std::move(path)) {}

Directory::Directory(Directory&& other) noexcept
    : system_(other.system_),
      descriptor_(std::exchange(other.descriptor_, -1)),
      path_(std::move(other.path_)) {}

Directory& Directory::operator=(Directory&& other) noexcept {
  std::swap(system_, other.system_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  return *this;
}

Directory::~Directory() {
  if (descriptor_ >= 0) system_->close(descriptor_);
}

Directory Directory::open(FileSystem& system, const std::filesystem::path& path) {
  const int descriptor = retry_interrupted([&] {
    return system.open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  });
  if (descriptor < 0) throw FileError("open folder", path.string(), errno);
  return {system, descriptor, path};
}

Directory Directory::open_or_create(FileSystem& system, const std::filesystem::path& path) {
  try {
    return open(system, path);
  } catch (const FileError& error) {
    if (error.code() != ENOENT) throw;
  }
  std::filesystem::path name = path.filename();
  std::filesystem::path parent = path.parent_path();
  if (name.empty()) {  // a trailing slash
    name = parent.filename();
    parent = parent.parent_path();
  }
  if (parent.empty()) parent = ".";
  const Directory above = open_or_create(system, parent);
  if (system.make_directory_at(above.descriptor_, name.c_str(), 0700) != 0 && errno != EEXIST) {
    throw FileError("mkdir", path.string(), errno);
  }
  above.sync();
  return open(system, path);
}

std::string Directory::child(std::string_view name) const { return (path_ / name).string(); }

std::string Directory::checked(const std::string& name) const {
  if (!is_plain_name(name)) {
    throw CheckpointError(fmt::format(
        "{}: {} is not a name of letters, digits, '.', '_' and '-' (at most 128, no leading dot)",
        path_.string(), printable(name)));
  }
  return child(name);
}

Directory Directory::open_directory(const std::string& name) const {
  const std::string path = checked(name);
  const int descriptor = retry_interrupted([&] {
    return system_->open_at(descriptor_, name.c_str(),
                            O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
  });
  if (descriptor < 0) throw FileError("open folder", path, errno);
  return {*system_, descriptor, path};
}

void Directory::make_directory(const std::string& name) const {
  const std::string path = checked(name);
  if (system_->make_directory_at(descriptor_, name.c_str(), 0700) != 0) {
    throw FileError("mkdir", path, errno);
  }
}

File Directory::create_file(const std::string& name, mode_t mode) const {
  std::string path = checked(name);
  const int descriptor = retry_interrupted([&] {
    return system_->open_at(descriptor_, name.c_str(),
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
  });
  if (descriptor < 0) throw FileError("create", path, errno);
  return {*system_, descriptor, std::move(path), 0};
}

File Directory::open_file(const std::string& name) const {
  std::string path = checked(name);
  // O_NONBLOCK, or opening a FIFO that someone put there would wait for ever.
  const int descriptor = retry_interrupted([&] {
    return system_->open_at(descriptor_, name.c_str(),
                            O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
  });
  if (descriptor < 0) throw FileError("open", path, errno);
  File file(*system_, descriptor, std::move(path), 0);
  struct stat status {};
  if (system_->status(descriptor, &status) != 0) throw FileError("stat", file.path_, errno);
  if (!S_ISREG(status.st_mode)) {
    throw CheckpointError(file.path_ + ": expected a regular file, found something else");
  }
  file.size_ = static_cast<std::uint64_t>(status.st_size);
  return file;
}

std::string Directory::read_file(const std::string& name, std::uint64_t limit) const {
  File file = open_file(name);
  if (file.size() > limit) {
    throw CheckpointError(
        fmt::format("{}: {} bytes, expected at most {}", file.path(), file.size(), limit));
  }
  std::string text(file.size(), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

void Directory::write_file(const std::string& name, std::string_view text) const {
  File file = create_file(name);
  file.write(std::as_bytes(std::span(text)));
  file.sync();
  file.close();
}

bool Directory::exists(const std::string& name) const {
  struct stat status {};
  if (system_->status_at(descriptor_, name.c_str(), &status) == 0) return true;
  if (errno == ENOENT) return false;
  throw FileError("stat", child(name), errno);
}

std::vector<std::string> Directory::names() const {
  std::vector<std::string> names;
  if (system_->entries(descriptor_, &names) != 0) {
    throw FileError("list folder", path_.string(), errno);
  }
  std::sort(names.begin(), names.end());
  return names;
}

void Directory::rename(const std::string& from, const std::string& to) const {
  const std::string path = child(from) + " to " + to;
  if (system_->rename_at(descriptor_, from.c_str(), to.c_str(), RENAME_NOREPLACE) == 0) return;
  if (errno != EINVAL && errno != ENOSYS) throw FileError("rename", path, errno);
  // NFS and others cannot refuse to replace in one call. For a file, link and unlink is the same
  // promise; for a folder, rename itself replaces none but an empty one, so a look before is
  // enough.
  struct stat status {};
  if (system_->status_at(descriptor_, from.c_str(), &status) != 0) {
    throw FileError("stat", child(from), errno);
  }
  if (S_ISDIR(status.st_mode)) {
    if (exists(to)) throw FileError("rename", path, EEXIST);
    if (system_->rename_at(descriptor_, from.c_str(), to.c_str(), 0) != 0) {
      throw FileError("rename", path, errno);
    }
    return;
  }
  if (system_->link_at(descriptor_, from.c_str(), to.c_str()) != 0) {
    throw FileError("link", path, errno);
  }
  unlink(from, 0);
}

void Directory::unlink(const std::string& name, int flags) const {
  if (system_->unlink_at(descriptor_, name.c_str(), flags) != 0) {
    throw FileError(flags == AT_REMOVEDIR ? "rmdir" : "unlink", child(name), errno);
  }
}

void Directory::remove_file(const std::string& name) const { unlink(name, 0); }

void Directory::remove_folder(const std::string& name) const {
  {
    const Directory folder = open_directory(name);
    for (const std::string& entry : folder.names()) folder.unlink(entry, 0);
  }
  unlink(name, AT_REMOVEDIR);
}

void Directory::sync() const {
  if (system_->sync(descriptor_) != 0) throw FileError("fsync", path_.string(), errno);
}

}  // namespace sbm::distributed::checkpoint
