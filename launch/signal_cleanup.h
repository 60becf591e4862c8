#pragma once

#include <signal.h>

#include <array>
#include <functional>
#include <thread>

namespace sbm::launch {

/// While it lives, SIGINT, SIGTERM and SIGHUP first run `cleanup`, on a thread of its own so that
/// it may do anything, and then end the process as ever. Once, however many signals come. A signal
/// that is ignored stays so. One at a time; the old handlers come back at the end.
class SignalCleanup {
 public:
  /// Throws InternalError when another one lives, or the system refuses.
  explicit SignalCleanup(std::function<void()> cleanup);
  ~SignalCleanup();
  SignalCleanup(const SignalCleanup&) = delete;
  SignalCleanup& operator=(const SignalCleanup&) = delete;

 private:
  void wait() const;

  std::function<void()> cleanup_;
  std::array<int, 2> pipe_{};
  std::array<struct sigaction, 3> old_{};
  std::thread thread_;
};

}  // namespace sbm::launch
