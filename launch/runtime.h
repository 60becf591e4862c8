#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "distributed/communicator.h"
#include "distributed/watchdog.h"
#include "trainer/config.pb.h"

namespace sbm::launch {

/// What a command that computes sets up on each rank: compute threads, deadlines of collectives,
/// and the watchdog that ends a rank which hangs (exit code 6).
class Runtime {
 public:
  /// Collective: a rank's share of the processors depends on how many ranks its host has.
  Runtime(distributed::Communicator& communicator, const trainer::Runtime& settings);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  /// Tells the watchdog that this rank is alive, and what it is about to do.
  [[nodiscard]] std::function<void(std::int64_t step, const char* operation)> heartbeat();
  [[nodiscard]] int threads() const { return threads_; }

 private:
  int threads_ = 1;
  std::unique_ptr<distributed::Watchdog> watchdog_;
};

}  // namespace sbm::launch
