#include "distributed/stop_flag.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "distributed/lasting_memory.h"

namespace sbm::distributed {
namespace {

/// In the order in which one is named when several came.
constexpr std::array<int, 3> kStopSignals = {SIGTERM, SIGINT, SIGUSR1};
constexpr std::array<std::string_view, 3> kStopSignalNames = {"SIGTERM", "SIGINT", "SIGUSR1"};
/// Those, and the one to ignore.
constexpr std::array<int, 4> kHandled = {SIGTERM, SIGINT, SIGUSR1, SIGCONT};

std::atomic<int> received_signal{0};
std::atomic<bool> installed{false};
static_assert(std::atomic<int>::is_always_lock_free, "a handler may only touch lock-free atomics");

extern "C" void sbm_note_stop_signal(int signal) { received_signal.store(signal); }

}  // namespace

std::string StopDecision::describe() const {
  switch (reason) {
    case StopReason::kNone:
      return "nothing";
    case StopReason::kStep:
      return "training.stop_at_step";
    case StopReason::kTimeLimit:
      return "the time limit";
    case StopReason::kSignal:
      break;
  }
  std::string text = "a signal";
  for (std::size_t i = 0; i < kStopSignals.size(); ++i) {
    if (kStopSignals[i] == signal) text = kStopSignalNames[i];
  }
  return text + " on " + std::to_string(ranks) + (ranks == 1 ? " rank" : " ranks");
}

StopDecision agree_on_stop(Communicator& communicator, const StopRequest& mine,
                           std::span<std::int64_t> counts) {
  constexpr std::size_t kTimeLimit = kStopSignals.size();
  constexpr std::size_t kStep = kTimeLimit + 1;
  constexpr std::size_t kFlags = kStep + 1;
  LastingVector<std::int64_t> values(kFlags + counts.size());
  bool known = mine.signal == 0;
  for (std::size_t i = 0; i < kStopSignals.size(); ++i) {
    values[i] = mine.signal == kStopSignals[i] ? 1 : 0;
    known = known || values[i] == 1;
  }
  if (!known) {
    throw InternalError("agree_on_stop: signal " + std::to_string(mine.signal) +
                        " is none that stops a run");
  }
  values[kTimeLimit] = mine.time_limit ? 1 : 0;
  values[kStep] = mine.step ? 1 : 0;
  std::copy(counts.begin(), counts.end(), values.begin() + kFlags);

  communicator.all_reduce_sum(values)->wait();

  std::copy(values.begin() + kFlags, values.end(), counts.begin());
  for (std::size_t i = 0; i < kStopSignals.size(); ++i) {
    if (values[i] > 0) return {StopReason::kSignal, kStopSignals[i], values[i]};
  }
  if (values[kTimeLimit] > 0) return {StopReason::kTimeLimit, 0, values[kTimeLimit]};
  if (values[kStep] > 0) return {StopReason::kStep, 0, values[kStep]};
  return {};
}

StopSignals::StopSignals() {
  if (installed.exchange(true)) throw InternalError("two StopSignals at the same time");
  received_signal.store(0);
  for (std::size_t i = 0; i < kHandled.size(); ++i) {
    struct sigaction action {};
    sigemptyset(&action.sa_mask);
    action.sa_handler = kHandled[i] == SIGCONT ? SIG_IGN : sbm_note_stop_signal;
    // Reads and writes under way go on; the first SIGINT puts back the default for the second.
    action.sa_flags = SA_RESTART;
    if (kHandled[i] == SIGINT) action.sa_flags |= static_cast<int>(SA_RESETHAND);
    if (sigaction(kHandled[i], &action, &old_[i]) != 0) {
      const std::string reason = std::generic_category().message(errno);
      restore(i);
      installed.store(false);
      throw InternalError("no handler for signal " + std::to_string(kHandled[i]) + ": " + reason);
    }
  }
}

StopSignals::~StopSignals() {
  restore(kHandled.size());
  installed.store(false);
}

void StopSignals::restore(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) sigaction(kHandled[i], &old_[i], nullptr);
}

int StopSignals::received() const { return received_signal.load(); }

}  // namespace sbm::distributed
