#pragma once

#include <signal.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "distributed/communicator.h"

// A run stops at a step boundary, on all ranks at the same one: a signal may reach one rank alone,
// and clocks differ. So nobody acts on what it knows before all have agreed (design, section 3.2).
namespace sbm::distributed {

/// Why a run ends early; the later ones win when several hold.
enum class StopReason { kNone, kStep, kTimeLimit, kSignal };

/// What one rank brings to the step boundary.
struct StopRequest {
  int signal = 0;           ///< SIGUSR1, SIGTERM or SIGINT when it came, else 0
  bool time_limit = false;  ///< runtime.time_limit_minutes have passed
  bool step = false;        ///< training.stop_at_step is reached
};

/// The answer, the same on every rank.
struct StopDecision {
  StopReason reason = StopReason::kNone;
  int signal = 0;          ///< for kSignal: the number
  std::int64_t ranks = 0;  ///< how many ranks asked for that reason
  [[nodiscard]] bool stop() const { return reason != StopReason::kNone; }
  /// "SIGTERM on 2 ranks", "the time limit", "training.stop_at_step", or "nothing".
  [[nodiscard]] std::string describe() const;
};

/// One integer all-reduce: agrees on the stop, and sums `counts` (valid samples, target tokens)
/// over the ranks on the way, in place. Collective; counts.size() is equal on all ranks. Throws
/// InternalError on any other signal than the three.
StopDecision agree_on_stop(Communicator& communicator, const StopRequest& mine,
                           std::span<std::int64_t> counts = {});

/// While it lives, SIGUSR1, SIGTERM and SIGINT only set a flag; a second SIGINT does what it always
/// did by default, for the impatient. SIGCONT, which mpirun sends before it ends a job, is ignored.
/// The old handlers come back at the end. One at a time.
class StopSignals {
 public:
  /// Throws InternalError when another one lives, or the system refuses a handler.
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// The latest of the signals that came, or 0.
  [[nodiscard]] int received() const;

 private:
  void restore(std::size_t count);

  std::array<struct sigaction, 4> old_{};
};

}  // namespace sbm::distributed
