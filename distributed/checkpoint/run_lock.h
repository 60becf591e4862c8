#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "distributed/communicator.h"

namespace sbm::distributed::checkpoint {

/// How long things take around a RunLock.
struct RunLockTimes {
  /// The holder shows that often that it is alive.
  std::chrono::milliseconds beat = std::chrono::seconds(5);
  /// A lock whose holder is on another machine, where nobody here can look, is watched this long;
  /// without a beat in it the holder counts as dead.
  std::chrono::milliseconds patience = std::chrono::seconds(30);
};

/// Sole use of a run folder: the file run.lock in it names host, process and start. On one machine
/// the kernel's lock on that file tells whether the holder lives, however it died; between machines
/// a beat in the file does. Two runs writing one folder would delete each other's checkpoints.
class RunLock {
 public:
  /// Takes the lock of `run_folder` (created if missing). Throws CheckpointError naming host,
  /// process id and start of the run that has it.
  explicit RunLock(const std::filesystem::path& run_folder, const RunLockTimes& times = {});
  /// Gives it back.
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  /// Throws CheckpointError when another run has meanwhile taken this one for dead (it had stood
  /// still for longer than the patience). To be asked before each save.
  void check() const;

 private:
  [[nodiscard]] std::string text(std::uint64_t beat) const;
  void write(std::uint64_t beat) const;
  void wait_for_stale_holder(const RunLockTimes& times, bool locked) const;
  void keep_beating(const std::stop_token& stop, std::chrono::milliseconds interval);

  std::filesystem::path path_;
  std::string token_;
  std::string machine_;
  std::int64_t started_ = 0;
  int descriptor_ = -1;
  std::atomic<bool> lost_ = false;
  std::jthread beating_;
};

/// Collective. Rank 0 takes the lock for the whole run; the others get nullptr. Throws the same
/// CheckpointError on all ranks when it is taken.
std::unique_ptr<RunLock> lock_run(Communicator& communicator,
                                  const std::filesystem::path& run_folder,
                                  const RunLockTimes& times = {});

}  // namespace sbm::distributed::checkpoint
