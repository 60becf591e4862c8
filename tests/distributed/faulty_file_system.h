#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

#include "distributed/checkpoint/file_system.h"

namespace sbm::distributed::checkpoint {

/// What goes wrong at one chosen call.
struct Fault {
  enum class Kind {
    kNone,
    kError,      ///< the call does nothing (close closes all the same) and fails with `code`
    kErrors,     ///< so does every later call of the same kind: a disk that stays full
    kShort,      ///< a write or read moves one byte only, which is no failure
    kLostWrite,  ///< a write says that all is well and writes nothing
    kDie,        ///< the process ends there and then
  };
  Kind kind = Kind::kNone;
  int at = 0;  ///< number of the call, from 1
  int code = 0;
};

/// The real file system but for one fault. It does not wait for the disk: fsync is only counted,
/// which lets a test save hundreds of times.
class FaultyFileSystem final : public FileSystem {
 public:
  explicit FaultyFileSystem(const Fault& fault = {}) : fault_(fault) {}

  [[nodiscard]] int calls() const { return calls_; }
  /// Whether the chosen call was made.
  [[nodiscard]] bool fired() const { return calls_ >= fault_.at; }
  /// Name of the call at which the fault was.
  [[nodiscard]] const std::string& fired_at() const { return fired_at_; }

  int open_at(int directory, const char* name, int flags, mode_t mode) override {
    return fails("open") ? -1 : FileSystem::open_at(directory, name, flags, mode);
  }
  ssize_t read_at(int file, void* bytes, std::size_t size, off_t offset) override {
    if (fails("read")) return -1;
    return FileSystem::read_at(file, bytes, is(Fault::Kind::kShort) ? 1 : size, offset);
  }
  ssize_t write(int file, const void* bytes, std::size_t size) override {
    if (fails("write")) return -1;
    if (is(Fault::Kind::kLostWrite)) return static_cast<ssize_t>(size);
    return FileSystem::write(file, bytes, is(Fault::Kind::kShort) ? 1 : size);
  }
  int sync(int) override { return fails("fsync") ? -1 : 0; }
  int close(int file) override {
    const bool failed = fails("close");
    FileSystem::close(file);
    if (failed) errno = fault_.code;
    return failed ? -1 : 0;
  }
  int status(int file, struct stat* result) override {
    return fails("fstat") ? -1 : FileSystem::status(file, result);
  }
  int status_at(int directory, const char* name, struct stat* result) override {
    return fails("fstatat") ? -1 : FileSystem::status_at(directory, name, result);
  }
  int make_directory_at(int directory, const char* name, mode_t mode) override {
    return fails("mkdir") ? -1 : FileSystem::make_directory_at(directory, name, mode);
  }
  int rename_at(int directory, const char* from, const char* to, unsigned flags) override {
    return fails("rename") ? -1 : FileSystem::rename_at(directory, from, to, flags);
  }
  int link_at(int directory, const char* from, const char* to) override {
    return fails("link") ? -1 : FileSystem::link_at(directory, from, to);
  }
  int unlink_at(int directory, const char* name, int flags) override {
    return fails("unlink") ? -1 : FileSystem::unlink_at(directory, name, flags);
  }
  int entries(int directory, std::vector<std::string>* names) override {
    return fails("readdir") ? -1 : FileSystem::entries(directory, names);
  }

 private:
  // Whether the call that was just counted is the chosen one, of that kind.
  [[nodiscard]] bool is(Fault::Kind kind) const {
    return fault_.kind == kind && calls_ == fault_.at;
  }

  bool fails(const char* call) {
    ++calls_;
    if (calls_ == fault_.at) fired_at_ = call;
    if (is(Fault::Kind::kDie)) _exit(9);
    const bool repeated = fault_.kind == Fault::Kind::kErrors && fired_at_ == call;
    if (!is(Fault::Kind::kError) && !repeated) return false;
    errno = fault_.code;
    return true;
  }

  Fault fault_;
  int calls_ = 0;
  std::string fired_at_;
};

}  // namespace sbm::distributed::checkpoint
