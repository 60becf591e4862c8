#include "launch/runtime.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "launch/exit_code.h"

namespace sbm::launch {
namespace {

// A collective that misses its deadline reports better than the watchdog can: let it go first.
constexpr std::chrono::seconds kWatchdogGrace{10};

int threads_of_a_rank(distributed::Communicator& communicator, int configured) {
  const std::vector<std::string> hosts =
      distributed::all_gather_strings(communicator, communicator.host());
  if (configured > 0) return configured;
  const auto ranks_here = std::count(hosts.begin(), hosts.end(), communicator.host());
  const auto processors = std::max(1U, std::thread::hardware_concurrency());
  return static_cast<int>(std::max<std::int64_t>(1, processors / ranks_here));
}

}  // namespace

Runtime::Runtime(distributed::Communicator& communicator, const trainer::Runtime& settings) {
  const std::chrono::seconds timeout{settings.timeout_seconds()};
  communicator.set_timeout(timeout);
  threads_ = threads_of_a_rank(communicator, settings.threads());
  at::set_num_threads(threads_);
  const std::string who = fmt::format("rank {} on {}", communicator.rank(), communicator.host());
  watchdog_ = std::make_unique<distributed::Watchdog>(
      timeout, kWatchdogGrace, [who](const distributed::Watchdog::Silence& silence) {
        // Nothing but write and _exit: the rest of the process may hold any lock.
        const std::string text = fmt::format(
            "sbm: {}: no progress for {:.0f} s at step {} in {}; ending this rank "
            "(runtime.timeout_seconds)\n",
            who, static_cast<double>(silence.time.count()) / 1000.0, silence.step,
            silence.operation);
        [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
        ::_exit(kPeerFailure);
      });
}

Runtime::~Runtime() = default;

std::function<void(std::int64_t, const char*)> Runtime::heartbeat() {
  return [watchdog = watchdog_.get()](std::int64_t step, const char* operation) {
    watchdog->beat(step, operation);
  };
}

}  // namespace sbm::launch
