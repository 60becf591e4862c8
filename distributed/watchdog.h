#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace sbm::distributed {

/// Ends a rank that hangs where no deadline can see it: in a kernel, a file system, a library. A
/// thread of its own waits for heartbeats; when none comes within timeout + grace, it calls the
/// handler once. The grace lets a collective that misses its deadline report first, with the
/// better message. Time in which the whole process was stopped (SIGSTOP, a suspended machine) does
/// not count.
class Watchdog {
 public:
  /// The last sign of life.
  struct Silence {
    std::int64_t step = 0;
    std::string operation;
    std::chrono::milliseconds time{};  ///< since then, in which this process ran
  };
  /// Runs on the watchdog's thread. In the program it logs, flushes and ends the process; an
  /// exception from it ends the process too.
  using FatalHandler = std::function<void(const Silence&)>;

  /// Throws InternalError unless timeout > 0, grace >= 0 and the handler can be called.
  Watchdog(std::chrono::milliseconds timeout, std::chrono::milliseconds grace,
           FatalHandler on_silence);
  /// Stops the thread and waits for it.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// "I live, and now begin `operation` of `step`." From any thread.
  void beat(std::int64_t step, std::string_view operation);

 private:
  void watch();

  std::chrono::milliseconds limit_;
  FatalHandler on_silence_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  Silence last_;
  std::thread thread_;  ///< last: it uses all of the above
};

}  // namespace sbm::distributed
