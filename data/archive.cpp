#include "data/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "data/build_folder.h"
#include "data/text_lines.h"

namespace sbm::data {
namespace {

constexpr std::size_t kReadBytes = std::size_t{256} << 10;
constexpr std::size_t kMaxNameBytes = 1024;

// The parts of an entry's name between slashes, without empty ones and ".".
std::vector<std::string_view> parts_of(std::string_view name) {
  std::vector<std::string_view> parts;
  while (!name.empty()) {
    const std::size_t end = std::min(name.find('/'), name.size());
    const std::string_view part = name.substr(0, end);
    name.remove_prefix(std::min(end + 1, name.size()));
    if (!part.empty() && part != ".") parts.push_back(part);
  }
  return parts;
}

class Unpacker {
 public:
  Unpacker(const UnpackRequest& request, const std::function<void(std::uint64_t)>& progress)
      : request_(request), progress_(progress), archive_(archive_read_new()) {
    if (!archive_) throw std::bad_alloc();
    archive_read_support_filter_gzip(archive_.get());
    archive_read_support_format_tar(archive_.get());
    archive_read_support_format_zip(archive_.get());
    check(archive_read_open_filename(archive_.get(), request.archive.c_str(), kReadBytes));
  }

  void run() {
    BuildFolder building(std::filesystem::absolute(request_.target));
    archive_entry* entry = nullptr;
    while (next(entry)) {
      const std::optional<std::filesystem::path> name = kept_name(entry);
      if (name) take(entry, building.path() / *name, name->empty());
    }
    if (files_ == 0) {
      fail(fmt::format("expected a folder \"{}\" with files in it, found none", request_.folder));
    }
    sync(building.path());
    if (!building.publish()) fail(request_.target.string() + " appeared meanwhile");
  }

 private:
  struct Free {
    void operator()(archive* reader) const { archive_read_free(reader); }
  };

  [[noreturn]] void fail(const std::string& reason) const {
    throw DataError(fmt::format("{}: {}", request_.archive.string(), reason));
  }

  // A warning of libarchive may mean wrong bytes, as a wrong checksum in a zip.
  void check(int code) const {
    if (code == ARCHIVE_OK) return;
    const char* text = archive_error_string(archive_.get());
    fail(fmt::format("damaged or no archive: {}", text == nullptr ? "no reason given" : text));
  }

  bool next(archive_entry*& entry) {
    if (progress_) progress_(static_cast<std::uint64_t>(archive_filter_bytes(archive_.get(), -1)));
    const int code = archive_read_next_header(archive_.get(), &entry);
    if (code == ARCHIVE_EOF) return false;
    // Of a header it warns of names alone, which kept_name() looks at.
    if (code != ARCHIVE_WARN) check(code);
    return true;
  }

  // The name below the wanted folder, empty for the folder itself; nothing for what is left alone.
  [[nodiscard]] std::optional<std::filesystem::path> kept_name(archive_entry* entry) const {
    const char* text = archive_entry_pathname(entry);
    if (text == nullptr) text = archive_entry_pathname_utf8(entry);
    if (text == nullptr) fail("expected entries with names, found one that cannot be read");
    const std::string_view name = text;
    const std::vector<std::string_view> parts = parts_of(name);
    // A hostile name spoils the archive even where nobody wants the entry.
    if (name.starts_with('/') || name.size() > kMaxNameBytes ||
        std::find(parts.begin(), parts.end(), "..") != parts.end()) {
      fail(fmt::format("expected names inside the archive, found \"{}\"", excerpt(name)));
    }
    if (!parts.empty() && (parts.front() == "__MACOSX" || parts.back().starts_with("._"))) {
      return std::nullopt;
    }
    const auto found = std::find(parts.begin(), parts.end(), request_.folder);
    if (found == parts.end()) return std::nullopt;
    std::filesystem::path kept;
    for (auto part = found + 1; part != parts.end(); ++part) kept /= *part;
    return kept;
  }

  void take(archive_entry* entry, const std::filesystem::path& path, bool is_root) {
    const auto type = archive_entry_filetype(entry);
    const bool is_link = archive_entry_hardlink(entry) != nullptr;
    if (type == AE_IFDIR && !is_link) {
      make_folder(path);
    } else if (type == AE_IFREG && !is_link && !is_root) {
      make_folder(path.parent_path());
      write_file(path);
      ++files_;
    } else {
      fail(fmt::format("expected files and folders, found something else called \"{}\"",
                       excerpt(path.filename().string())));
    }
  }

  void make_folder(const std::filesystem::path& path) const {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) fail(fmt::format("cannot create {}: {}", path.string(), error.message()));
  }

  void write_file(const std::filesystem::path& path) {
    const int descriptor =
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (descriptor < 0) {
      fail(fmt::format("cannot create {}: {}", path.string(),
                       std::generic_category().message(errno)));
    }
    try {
      copy(descriptor, path);
    } catch (...) {
      ::close(descriptor);
      throw;
    }
    if (::close(descriptor) != 0) {
      fail(fmt::format("cannot write {}: {}", path.string(),
                       std::generic_category().message(errno)));
    }
  }

  void copy(int descriptor, const std::filesystem::path& path) {
    for (;;) {
      const void* bytes = nullptr;
      std::size_t count = 0;
      la_int64_t at = 0;
      const int code = archive_read_data_block(archive_.get(), &bytes, &count, &at);
      if (code == ARCHIVE_EOF) return;
      check(code);
      bytes_ += count;
      // Also where a hole makes a small block end far behind.
      if (bytes_ > request_.max_bytes || at < 0 ||
          static_cast<std::uint64_t>(at) > request_.max_bytes - count) {
        fail(fmt::format("expected at most {} bytes unpacked, found more", request_.max_bytes));
      }
      write_all(descriptor, path, static_cast<const char*>(bytes), count, at);
      if (progress_) {
        progress_(static_cast<std::uint64_t>(archive_filter_bytes(archive_.get(), -1)));
      }
    }
  }

  void write_all(int descriptor, const std::filesystem::path& path, const char* bytes,
                 std::size_t count, std::int64_t at) const {
    while (count > 0) {
      const ::ssize_t written = ::pwrite(descriptor, bytes, count, at);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) {
        fail(fmt::format("cannot write {}: {}", path.string(),
                         std::generic_category().message(written < 0 ? errno : ENOSPC)));
      }
      bytes += written;
      at += written;
      count -= static_cast<std::size_t>(written);
    }
  }

  // One call for all files: hundreds of thousands of fsync would take longer than unpacking.
  void sync(const std::filesystem::path& folder) const {
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;  // publish() says why
    const bool synchronised = ::syncfs(descriptor) == 0;
    const int error = errno;
    ::close(descriptor);
    if (!synchronised) {
      fail(fmt::format("cannot synchronise {}: {}", folder.string(),
                       std::generic_category().message(error)));
    }
  }

  const UnpackRequest& request_;
  const std::function<void(std::uint64_t)>& progress_;
  std::unique_ptr<archive, Free> archive_;
  std::uint64_t files_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace

void unpack_folder(const UnpackRequest& request,
                   const std::function<void(std::uint64_t)>& progress) {
  Unpacker(request, progress).run();
}

}  // namespace sbm::data
