#include "distributed/checkpoint/run_lock.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "distributed/checkpoint/agreement.h"
#include "distributed/checkpoint/durable_file.h"
#include "distributed/checkpoint/printable.h"
#include "distributed/checkpoint/strict_json.h"

namespace sbm::distributed::checkpoint {
namespace {

// The text is padded to this, so that one write always replaces all of the last one.
constexpr std::size_t kTextBytes = 1024;

// Tells this boot of this machine from all others: where it is equal, the kernel's lock decides.
std::string machine_identity() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string identity;
  std::getline(file, identity);
  return identity;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

// Who holds the lock, as far as the text tells.
struct Holder {
  std::string host = "unknown";
  std::string machine;
  std::string token;
  std::uint64_t process = 0;
  std::uint64_t started = 0;
};

Holder parse_holder(const std::string& text, const std::string& path) {
  Holder holder;
  try {
    const nlohmann::json json = parse_strict_json(text, path);
    holder.host = string_member(json, "host", path);
    holder.machine = string_member(json, "machine", path);
    holder.token = string_member(json, "token", path);
    holder.process = unsigned_member(json, "pid", path);
    holder.started = unsigned_member(json, "unix_time", path);
  } catch (const CheckpointError&) {
    // Cut short by a crash, or caught in the middle of a write: nobody that could be named.
  }
  return holder;
}

[[noreturn]] void refuse(const std::filesystem::path& path, const Holder& holder) {
  throw CheckpointError(fmt::format(
      "{}: another run is using this folder: host {}, process {}, since {:%Y-%m-%d %H:%M:%S} UTC. "
      "Wait for it, stop it, or choose another run folder",
      path.string(), printable(holder.host), holder.process,
      fmt::gmtime(static_cast<std::time_t>(
          std::min<std::uint64_t>(holder.started, 253'402'300'799U)))));  // the year 9999
}

// The whole text, through a new descriptor: network file systems refresh what they know at open.
std::string read_lock(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return {};
  std::string text(kTextBytes, '\0');
  const ssize_t count = ::pread(file, text.data(), text.size(), 0);
  ::close(file);
  text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
  return text;
}

int open_lock(const std::filesystem::path& path) {
  const int file =
      ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
  if (file < 0) throw FileError("open", path.string(), errno);
  struct stat status {};
  if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(file);
    throw CheckpointError(path.string() + ": expected a regular file, found something else");
  }
  return file;
}

std::string random_token() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", device(), device(), device(), device());
}

// Closes what the constructor opened, should it fail.
struct Closer {
  int& descriptor;
  bool armed = true;
  ~Closer() {
    if (armed) ::close(std::exchange(descriptor, -1));
  }
};

}  // namespace

RunLock::RunLock(const std::filesystem::path& run_folder, const RunLockTimes& times)
    : path_(run_folder / "run.lock"),
      token_(random_token()),
      machine_(machine_identity()),
      started_(std::chrono::duration_cast<std::chrono::seconds>(
                   std::chrono::system_clock::now().time_since_epoch())
                   .count()) {
  static_cast<void>(Directory::open_or_create(FileSystem::posix(), run_folder));
  descriptor_ = open_lock(path_);
  Closer closer{descriptor_};
  const bool locked = ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0;
  if (!locked && errno == EWOULDBLOCK) {
    refuse(path_, parse_holder(read_lock(path_), path_.string()));
  }
  // Any other failure: a file system without such locks, where the beat alone has to tell.
  wait_for_stale_holder(times, locked);
  write(0);
  // The thread must not take the signals that end the program: their handlers belong to the others.
  sigset_t all{};
  sigset_t before{};
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  beating_ = std::jthread(
      [this, interval = times.beat](const std::stop_token& stop) { keep_beating(stop, interval); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  closer.armed = false;
}

RunLock::~RunLock() {
  beating_.request_stop();
  beating_.join();
  // Emptied, not removed: someone may have the file open already and wait for its lock.
  if (!lost_ && ::ftruncate(descriptor_, 0) == 0) ::fsync(descriptor_);
  ::close(descriptor_);
}

// Returns when the lock that the file speaks of is nobody's.
void RunLock::wait_for_stale_holder(const RunLockTimes& times, bool locked) const {
  const std::string seen = read_lock(path_);
  if (seen.empty()) return;
  if (locked && parse_holder(seen, path_.string()).machine == machine_) return;
  const auto until = std::chrono::steady_clock::now() + times.patience;
  while (std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::min(times.beat / 4, times.patience));
    const std::string now = read_lock(path_);
    if (now.empty()) return;
    if (now != seen) refuse(path_, parse_holder(now, path_.string()));
  }
}

std::string RunLock::text(std::uint64_t beat) const {
  const nlohmann::json json = {{"host", host_name()}, {"machine", machine_},   {"token", token_},
                               {"pid", ::getpid()},   {"unix_time", started_}, {"beat", beat}};
  std::string text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  text.resize(kTextBytes, ' ');
  text.back() = '\n';
  return text;
}

void RunLock::write(std::uint64_t beat) const {
  const std::string bytes = text(beat);
  const ssize_t written = ::pwrite(descriptor_, bytes.data(), bytes.size(), 0);
  if (written != static_cast<ssize_t>(bytes.size())) {
    throw FileError("write", path_.string(), written < 0 ? errno : ENOSPC);
  }
  if (::fsync(descriptor_) != 0) throw FileError("fsync", path_.string(), errno);
}

void RunLock::keep_beating(const std::stop_token& stop, std::chrono::milliseconds interval) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  for (std::uint64_t beat = 1;; ++beat) {
    stopped.wait_for(lock, stop, interval, [] { return false; });
    if (stop.stop_requested()) return;
    const Holder holder = parse_holder(read_lock(path_), path_.string());
    if (!holder.token.empty() && holder.token != token_) {
      lost_ = true;
      return;
    }
    // A beat that could not be written (disk full for a moment) is not the end: the next may be.
    static_cast<void>(attempt([&] { write(beat); }));
  }
}

void RunLock::check() const {
  if (!lost_) return;
  throw CheckpointError(path_.string() +
                        ": this run stood still for so long that another run took its folder");
}

std::unique_ptr<RunLock> lock_run(Communicator& communicator,
                                  const std::filesystem::path& run_folder,
                                  const RunLockTimes& times) {
  std::unique_ptr<RunLock> lock;
  std::string error;
  if (communicator.rank() == 0) {
    error = attempt([&] { lock = std::make_unique<RunLock>(run_folder, times); });
  }
  agree(communicator, "locking the run folder", error);
  return lock;
}

}  // namespace sbm::distributed::checkpoint
