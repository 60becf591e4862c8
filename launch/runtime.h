#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "distributed/communicator.h"
#include "distributed/watchdog.h"
#include "trainer/config.pb.h"

namespace sbm::launch {

/// What a command that computes sets up on each rank: compute threads, deadlines of collectives,
/// and the watchdog that ends a rank which hangs (exit code 6). Two deadlines: until the first
/// heartbeat rank 0 may generate data or check old checkpoints while the others wait, so a long one
/// holds; from then on runtime.timeout_seconds.
class Runtime {
 public:
  /// Collective: a rank's share of the processors depends on how many ranks its host has. With
  /// runtime.device AUTO a program built for GPUs says on stderr why it computes on the CPU.
  /// `log`: this rank's log file, which the watchdog's last words go to besides stderr; may be
  /// empty or missing.
  Runtime(distributed::Communicator& communicator, const trainer::Runtime& settings,
          std::filesystem::path log = {});
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  /// Tells the watchdog that this rank is alive, and what it is about to do. The first call ends
  /// the start-up. The object outlives the function.
  [[nodiscard]] std::function<void(std::int64_t step, const char* operation)> heartbeat();
  [[nodiscard]] int threads() const { return threads_; }

 private:
  void beat(std::int64_t step, const char* operation);

  distributed::Communicator& communicator_;
  std::chrono::seconds timeout_;
  std::filesystem::path log_;
  int threads_ = 1;
  std::unique_ptr<distributed::Watchdog> watchdog_;
};

}  // namespace sbm::launch
