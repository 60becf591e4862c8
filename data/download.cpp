#include "data/download.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "data/archive.h"
#include "data/durable_file.h"
#include "data/file_digest.h"
#include "data/http_fetch.h"
#include "data/mapped_file.h"
#include "data/mrpc_files.h"
#include "data/task_builder.h"
#include "data/text_lines.h"

namespace sbm::data {
namespace {

constexpr std::size_t kMaxChecksumsBytes = std::size_t{1} << 20;
constexpr std::size_t kSha256Digits = 64;

/// Another file than the one that was recorded: published anew since, maybe, so it is kept.
struct OtherThanRecorded : DataError {
  using DataError::DataError;
};

// One download at a time works in a folder: files and their checksums belong together.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    descriptor_ = error ? -1 : ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor_ < 0) {
      throw DataError(
          fmt::format("{}: cannot use the folder: {}", folder.string(),
                      error ? error.message() : std::generic_category().message(errno)));
    }
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      ::close(descriptor_);
      throw DataError(folder.string() + ": another download is at work in this folder");
    }
  }
  ~FolderLock() { ::close(descriptor_); }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_ = -1;
};

// The checksums of earlier downloads.
class Checksums {
 public:
  explicit Checksums(std::filesystem::path path) : path_(std::move(path)) {
    std::error_code ignored;
    if (!std::filesystem::exists(path_, ignored)) return;
    const MappedFile file(path_);
    if (file.bytes().size() > kMaxChecksumsBytes) {
      throw DataError(fmt::format("{}: expected at most {} bytes, found {}", path_.string(),
                                  kMaxChecksumsBytes, file.bytes().size()));
    }
    std::uint64_t number = 0;
    for (std::string_view rest = as_text(file); !rest.empty();) {
      const std::string_view line = take_line(rest);
      ++number;
      if (line.size() <= kSha256Digits + 2 || line.substr(kSha256Digits, 2) != "  " ||
          line.find_first_not_of("0123456789abcdef") != kSha256Digits) {
        throw DataError(
            fmt::format("{}:{}: expected a SHA-256, two spaces and a name, found \"{}\"",
                        path_.string(), number, excerpt(line)));
      }
      sums_[std::string(line.substr(kSha256Digits + 2))] = line.substr(0, kSha256Digits);
    }
  }

  // Empty when the file was never downloaded here.
  [[nodiscard]] std::string find(const std::string& name) const {
    const auto found = sums_.find(name);
    return found == sums_.end() ? "" : found->second;
  }

  void record(const std::string& name, const std::string& sha256) {
    if (find(name) == sha256) return;
    sums_[name] = sha256;
    std::string text;
    for (const auto& [file, sum] : sums_) text += fmt::format("{}  {}\n", sum, file);
    DurableFile file(path_);
    file.write({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    file.commit();
  }

 private:
  std::filesystem::path path_;
  std::map<std::string, std::string> sums_;
};

std::string address(const PublishedFile& file, const std::string& base_url) {
  if (base_url.empty()) return std::string(file.url);
  const std::string_view name = file.url.substr(file.url.rfind('/') + 1);
  return fmt::format("{}{}{}", base_url, base_url.ends_with('/') ? "" : "/", name);
}

// What is known of a file beforehand, for people.
std::string description(const PublishedFile& file) {
  std::string text = file.bytes > 0 ? fmt::format("{} bytes", file.bytes) : "size not published";
  if (!file.sha256.empty()) return text + fmt::format(", SHA-256 {}", file.sha256);
  if (!file.md5.empty()) return text + fmt::format(", MD5 {}", file.md5);
  return text + ", no published checksum";
}

class Download {
 public:
  Download(const PublishedSource& source, const DownloadRequest& request,
           const std::function<void(const DownloadProgress&)>& progress)
      : request_(request),
        progress_(progress),
        source_(source),
        lock_(request.out),
        checksums_(request.out / kChecksumsFile) {}

  DownloadReport run() {
    DownloadReport report;
    for (const PublishedFile& file : source_.files) report.files.push_back(obtain(file));
    for (const PublishedFile& file : source_.files) unpack(file);
    // Not before: a first download that is no archive must not become what others are held to.
    for (const DownloadedFile& file : report.files) checksums_.record(file.name, file.sha256);
    if (source_.is_mrpc) arrange_mrpc(place());
    report.place = place();
    report.next_command = next_command();
    return report;
  }

 private:
  [[nodiscard]] std::filesystem::path place() const { return request_.out / source_.place; }

  [[nodiscard]] std::string next_command() const {
    if (source_.is_vocabulary) {
      return fmt::format(
          "sbm data build --task TASK --source FOLDER --vocab {}{} --out datasets/TASK",
          place().string(), request_.task == "bert/cased" ? " --cased" : "");
    }
    const std::size_t slash = request_.task.find('/');
    const std::string vocabulary =
        find_task_builder(request_.task).takes_words
            ? fmt::format(" --vocab {}", (request_.out / "bert-uncased-vocab.txt").string())
            : "";
    return fmt::format("sbm data build --task {} --source {}{} --out datasets/{}-{}", request_.task,
                       place().string(), vocabulary, request_.task.substr(0, slash),
                       request_.task.substr(slash + 1));
  }

  void tell(const std::string& what, std::uint64_t bytes, std::uint64_t total) const {
    if (progress_) progress_({.what = what, .bytes = bytes, .total = total});
  }

  DownloadedFile obtain(const PublishedFile& file) {
    const std::filesystem::path target = request_.out / file.name;
    std::error_code ignored;
    DownloadedFile result{.name = std::string(file.name), .url = address(file, request_.base_url)};
    result.was_there = std::filesystem::exists(target, ignored);
    if (result.was_there) {
      check(file, target, result);
    } else if (std::filesystem::exists(kept_path(target), ignored)) {
      check(file, kept_path(target), result);
      rename(kept_path(target), target);
      result.was_there = true;
    } else {
      fetch(file, result, target);
    }
    return result;
  }

  void fetch(const PublishedFile& file, DownloadedFile& result,
             const std::filesystem::path& target) {
    const std::filesystem::path partial = target.string() + ".part";
    std::error_code error;
    std::filesystem::create_directories(target.parent_path(), error);
    const std::string what = fmt::format("fetching {}", file.name);
    try {
      fetch_file({.url = result.url, .path = partial, .bytes = file.bytes},
                 [&](std::uint64_t bytes, std::uint64_t total) { tell(what, bytes, total); });
    } catch (const FetchError& failure) {
      if (std::filesystem::file_size(partial, error) == 0) std::filesystem::remove(partial, error);
      throw DataError(cannot_fetch(file, target, failure.what()));
    }
    // Checked before it gets its name. What is wrong would only be continued by the next call.
    try {
      check(file, partial, result);
    } catch (const OtherThanRecorded&) {
      rename(partial, kept_path(target));
      std::filesystem::remove(version_path(partial), error);
      throw;
    } catch (const DataError&) {
      std::filesystem::remove(partial, error);
      std::filesystem::remove(version_path(partial), error);
      throw;
    }
    rename(partial, target);
    std::filesystem::remove(version_path(partial), error);
  }

  // Where a whole file waits that is another one than was recorded.
  static std::filesystem::path kept_path(const std::filesystem::path& target) {
    return target.string() + ".other";
  }

  static void rename(const std::filesystem::path& from, const std::filesystem::path& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) {
      throw DataError(fmt::format("{}: cannot rename the finished file to this name: {}",
                                  to.string(), std::generic_category().message(errno)));
    }
    sync_folder(to.parent_path());
  }

  [[nodiscard]] std::string cannot_fetch(const PublishedFile& file,
                                         const std::filesystem::path& target,
                                         const std::string& reason) const {
    return fmt::format(
        "cannot fetch {}\n"
        "  What has come is kept; the same command goes on from there.\n"
        "  Without internet: fetch {} elsewhere ({}),\n"
        "  put it here as {}, and run the same command again: it checks and unpacks the file.\n"
        "  Then: {}",
        reason, file.url, description(file), target.string(), next_command());
  }

  // Compares the file at `path` with what is published or recorded, and fills in `result`.
  void check(const PublishedFile& file, const std::filesystem::path& path, DownloadedFile& result) {
    std::error_code error;
    result.bytes = std::filesystem::file_size(path, error);
    if (!error && file.bytes > 0 && result.bytes != file.bytes) {
      refuse(path, fmt::format("{} bytes", file.bytes), fmt::format("{} bytes", result.bytes));
    }
    const std::string what = fmt::format("checking {}", file.name);
    const FileDigest digest = digest_file(path, !file.md5.empty(), [&](std::uint64_t bytes) {
      tell(what, bytes, error ? 0 : result.bytes);
    });
    result.sha256 = digest.sha256;
    if (!file.sha256.empty() && digest.sha256 != file.sha256) {
      refuse(path, fmt::format("the published SHA-256 {}", file.sha256), digest.sha256);
    }
    if (!file.md5.empty() && digest.md5 != file.md5) {
      refuse(path, fmt::format("the published MD5 {}", file.md5), digest.md5);
    }
    const std::string name(file.name);
    const std::string recorded = checksums_.find(name);
    if (!file.sha256.empty() || !file.md5.empty()) {
      result.checksum = ChecksumSource::kPublished;
    } else if (recorded.empty()) {
      result.checksum = ChecksumSource::kFirst;
    } else if (recorded == digest.sha256) {
      result.checksum = ChecksumSource::kRecorded;
    } else {
      const std::filesystem::path target = request_.out / file.name;
      throw OtherThanRecorded(fmt::format(
          "{}: expected the SHA-256 {} that {} has of an earlier download, found {}; it is not "
          "used{}. If another file was published since, delete the line there and run the same "
          "command again: nothing is fetched twice. To fetch it anew, remove the file",
          target.string(), recorded, (request_.out / kChecksumsFile).string(), digest.sha256,
          path == target ? "" : fmt::format(" but kept as {}", kept_path(target).string())));
    }
  }

  [[noreturn]] void refuse(const std::filesystem::path& path, const std::string& expected,
                           const std::string& found) const {
    throw DataError(fmt::format(
        "{}: expected {}, found {}; it is not used. Remove it, where it is still there, "
        "to fetch it anew",
        path.string(), expected, found));
  }

  void unpack(const PublishedFile& file) const {
    if (file.folder.empty()) return;
    const std::filesystem::path target = request_.out / file.folder;
    std::error_code error;
    if (std::filesystem::exists(target, error)) return;
    const std::filesystem::path archive = request_.out / file.name;
    const std::uint64_t total = std::filesystem::file_size(archive, error);
    const std::string what = fmt::format("unpacking {}", file.name);
    unpack_folder({.archive = archive, .folder = std::string(file.folder), .target = target},
                  [&](std::uint64_t bytes) { tell(what, bytes, error ? 0 : total); });
  }

  const DownloadRequest& request_;
  const std::function<void(const DownloadProgress&)>& progress_;
  const PublishedSource& source_;
  FolderLock lock_;
  Checksums checksums_;
};

}  // namespace

std::string licence_note(const std::string& task) {
  return std::string(find_published_source(task).licence);
}

DownloadReport download(const DownloadRequest& request,
                        const std::function<void(const DownloadProgress&)>& progress) {
  return download_source(find_published_source(request.task), request, progress);
}

DownloadReport download_source(const PublishedSource& source, const DownloadRequest& request,
                               const std::function<void(const DownloadProgress&)>& progress) {
  return Download(source, request, progress).run();
}

}  // namespace sbm::data
