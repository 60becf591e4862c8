#include "data/http_fetch.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <exception>
#include <fstream>
#include <memory>
#include <string_view>
#include <system_error>
#include <thread>

#include "data/durable_file.h"

namespace sbm::data {
namespace {

constexpr long kConnectSeconds = 30;
constexpr long kSilentSeconds = 60;  // without a byte: the connection is taken for broken
constexpr long kMaxRedirections = 8;
constexpr std::size_t kMaxVersionBytes = 1024;
constexpr std::chrono::milliseconds kFirstPause{100};  // each later one is four times as long

[[noreturn]] void fail(const std::filesystem::path& path, const char* what, int error) {
  throw DataError(fmt::format("{}: cannot {}: {}", path.string(), what,
                              std::generic_category().message(error)));
}

void start_curl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code != CURLE_OK) throw InternalError("libcurl does not start");
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && static_cast<unsigned char>(text.front()) <= ' ') text.remove_prefix(1);
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
  return text;
}

// The file that grows, and which version of the remote file its bytes are of.
class PartialFile {
 public:
  explicit PartialFile(std::filesystem::path path) : path_(std::move(path)) {
    descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (descriptor_ < 0) fail(path_, "create", errno);
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) {
      const int error = errno;
      ::close(descriptor_);
      fail(path_, "examine", error);
    }
    size_ = static_cast<std::uint64_t>(status.st_size);
    std::ifstream file(version_path(path_), std::ios::binary);
    std::array<char, kMaxVersionBytes> text{};
    file.read(text.data(), std::ssize(text));
    version_.assign(text.data(), static_cast<std::size_t>(file.gcount()));
    // What cannot be continued safely is begun anew.
    if (version_.empty() || trimmed(version_).size() != version_.size()) restart();
  }
  ~PartialFile() { ::close(descriptor_); }
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] const std::string& version() const { return version_; }

  void restart() {
    if (::ftruncate(descriptor_, 0) != 0) fail(path_, "empty", errno);
    size_ = 0;
    keep_version("");
  }

  void keep_version(std::string_view version) {
    version_ = version;
    std::error_code ignored;
    if (version.empty()) {
      std::filesystem::remove(version_path(path_), ignored);
      return;
    }
    DurableFile file(version_path(path_));
    file.write({reinterpret_cast<const std::uint8_t*>(version_.data()), version_.size()});
    file.commit();
  }

  void append(const char* bytes, std::size_t count) {
    while (count > 0) {
      const ::ssize_t written = ::pwrite(descriptor_, bytes, count, static_cast<::off_t>(size_));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail(path_, "write", written < 0 ? errno : ENOSPC);
      bytes += written;
      count -= static_cast<std::size_t>(written);
      size_ += static_cast<std::uint64_t>(written);
    }
  }

  void sync() const {
    if (::fsync(descriptor_) != 0) fail(path_, "synchronise", errno);
  }

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  std::string version_;
};

// One request for what is missing of a partial file.
class Transfer {
 public:
  using Progress = std::function<void(std::uint64_t, std::uint64_t)>;

  Transfer(const FetchRequest& request, PartialFile& file, const Progress& progress)
      : request_(request), file_(file), progress_(progress), begin_(file.size()) {
    start_curl();
    handle_.reset(curl_easy_init());
    if (!handle_) throw InternalError("libcurl gives no handle");
    set(CURLOPT_URL, request.url.c_str());
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_FAILONERROR, 1L);
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_MAXREDIRS, kMaxRedirections);
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_REDIR_PROTOCOLS_STR, request.url.starts_with("https:") ? "https" : "http,https");
    set(CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME, kSilentSeconds);
    set(CURLOPT_USERAGENT, "sbm");
    set(CURLOPT_ERRORBUFFER, reason_.data());
    set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_WRITEFUNCTION, &Transfer::on_bytes);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
    set(CURLOPT_XFERINFODATA, this);
    if (begin_ > 0) {
      set(CURLOPT_RANGE, fmt::format("{}-", begin_).c_str());
      headers_.reset(curl_slist_append(nullptr, ("If-Range: " + file.version()).c_str()));
      set(CURLOPT_HTTPHEADER, headers_.get());
    }
  }

  // What came of it: kWhole, or a reason in reason().
  enum class Outcome { kWhole, kBrokeOff, kRefused, kCannotContinue };

  Outcome run() {
    const CURLcode code = curl_easy_perform(handle_.get());
    if (failure_) std::rethrow_exception(failure_);
    if (code == CURLE_OK) {
      if (!guarded([this] { accept(); })) std::rethrow_exception(failure_);  // of an empty file
      if (misplaced_) return cannot_continue();
      if (status() != 206 || range_.ends_with(fmt::format("/{}", file_.size())) ||
          range_.ends_with("/*")) {
        return Outcome::kWhole;
      }
      say(fmt::format("the server sent a part only: {}", range_));
      return Outcome::kBrokeOff;
    }
    if (misplaced_) return cannot_continue();
    if (code == CURLE_HTTP_RETURNED_ERROR && status() == 416 && begin_ > 0) {
      // Nothing is missing, where an earlier run was killed just before the end.
      return range_ == fmt::format("bytes */{}", begin_) ? Outcome::kWhole
                                                         : Outcome::kCannotContinue;
    }
    if (reason_[0] == '\0') {
      say(curl_easy_strerror(code));
    }
    const bool may_pass = code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR ||
                          code == CURLE_OPERATION_TIMEDOUT || code == CURLE_GOT_NOTHING ||
                          code == CURLE_HTTP2 || code == CURLE_HTTP2_STREAM ||
                          (code == CURLE_HTTP_RETURNED_ERROR && status() >= 500);
    return may_pass ? Outcome::kBrokeOff : Outcome::kRefused;
  }

  [[nodiscard]] std::string reason() const { return reason_.data(); }

 private:
  struct Free {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };

  Outcome cannot_continue() {
    say(fmt::format("expected bytes from {} on, the server sends \"{}\"", begin_, range_));
    return Outcome::kCannotContinue;
  }

  void say(std::string_view text) {
    text = text.substr(0, reason_.size() - 1);
    *std::copy(text.begin(), text.end(), reason_.begin()) = '\0';
  }

  template <typename T>
  void set(CURLoption option, T value) {
    if (curl_easy_setopt(handle_.get(), option, value) != CURLE_OK) {
      throw InternalError(fmt::format("libcurl refuses option {}", static_cast<int>(option)));
    }
  }

  [[nodiscard]] long status() const {
    long code = 0;
    curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &code);
    return code;
  }

  // Exceptions must not pass through libcurl.
  template <typename Work>
  bool guarded(const Work& work) {
    try {
      work();
      return true;
    } catch (...) {
      failure_ = std::current_exception();
      return false;
    }
  }

  static std::size_t on_header(char* text, std::size_t, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    return transfer.guarded([&] { transfer.take_header({text, count}); }) ? count : 0;
  }

  static std::size_t on_bytes(char* bytes, std::size_t, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    const bool taken = transfer.guarded([&] { transfer.take_bytes(bytes, count); });
    return taken && !transfer.misplaced_ ? count : 0;
  }

  static int on_progress(void* self, curl_off_t total, curl_off_t, curl_off_t, curl_off_t) {
    auto& transfer = *static_cast<Transfer*>(self);
    return transfer.guarded([&] { transfer.tell(static_cast<std::uint64_t>(total)); }) ? 0 : 1;
  }

  void take_header(std::string_view line) {
    if (line.starts_with("HTTP/")) {  // of the next answer, after a redirection
      tag_.clear();
      date_.clear();
      range_.clear();
      return;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (value.size() > kMaxVersionBytes / 2) return;
    // A weak tag does not promise equal bytes.
    if (equals_ignoring_case(line.substr(0, colon), "etag") && !value.starts_with("W/")) {
      tag_ = value;
    }
    if (equals_ignoring_case(line.substr(0, colon), "last-modified")) date_ = value;
    if (equals_ignoring_case(line.substr(0, colon), "content-range")) range_ = value;
  }

  // Whether the answer continues the file or begins anew.
  void accept() {
    if (accepted_) return;
    accepted_ = true;
    if (status() != 206) file_.restart();
    if (status() == 206 && begin_ == 0) {
      throw FetchError(request_.url + ": expected a whole file, the server sends a part of it");
    }
    // HTTP lets a server send another part than the one it was asked for.
    if (status() == 206 && !range_.starts_with(fmt::format("bytes {}-", begin_))) {
      misplaced_ = true;
      return;
    }
    file_.keep_version(tag_.empty() ? date_ : tag_);
  }

  void take_bytes(const char* bytes, std::size_t count) {
    accept();
    if (misplaced_) return;
    if (request_.bytes > 0 && count > request_.bytes - std::min(request_.bytes, file_.size())) {
      throw FetchError(fmt::format("{}: expected {} bytes, the server sends more", request_.url,
                                   request_.bytes));
    }
    file_.append(bytes, count);
  }

  void tell(std::uint64_t coming) {
    if (!progress_) return;
    const std::uint64_t from = accepted_ && status() != 206 ? 0 : begin_;
    progress_(file_.size(), request_.bytes > 0 ? request_.bytes : coming > 0 ? from + coming : 0);
  }

  const FetchRequest& request_;
  PartialFile& file_;
  const Progress& progress_;
  const std::uint64_t begin_;
  std::unique_ptr<CURL, Free> handle_;
  std::unique_ptr<curl_slist, Free> headers_;
  std::array<char, CURL_ERROR_SIZE> reason_{};
  std::string tag_;
  std::string date_;
  std::string range_;
  bool accepted_ = false;
  bool misplaced_ = false;  // the answer holds other bytes than the missing ones
  std::exception_ptr failure_;
};

}  // namespace

std::filesystem::path version_path(const std::filesystem::path& partial) {
  return partial.string() + ".version";
}

void fetch_file(const FetchRequest& request,
                const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  PartialFile file(request.path);
  if (request.bytes > 0 && file.size() > request.bytes) file.restart();
  std::string reason;
  for (int attempt = 0; attempt < request.attempts; ++attempt) {
    // A run that was killed may have had it all.
    if (request.bytes > 0 && file.size() == request.bytes) {
      reason.clear();
      break;
    }
    if (attempt > 0) std::this_thread::sleep_for(kFirstPause * (1 << (2 * (attempt - 1))));
    Transfer transfer(request, file, progress);
    const Transfer::Outcome outcome = transfer.run();
    reason = transfer.reason();
    if (outcome == Transfer::Outcome::kWhole) {
      reason.clear();
      break;
    }
    if (outcome == Transfer::Outcome::kRefused) break;
    if (outcome == Transfer::Outcome::kCannotContinue) file.restart();
  }
  if (!reason.empty()) {
    throw FetchError(fmt::format("{}: {}", request.url, reason));
  }
  if (request.bytes > 0 && file.size() != request.bytes) {
    const std::uint64_t found = file.size();
    file.restart();
    throw FetchError(
        fmt::format("{}: expected {} bytes, found {}", request.url, request.bytes, found));
  }
  file.sync();
}

}  // namespace sbm::data
