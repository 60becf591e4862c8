#include "launch/runtime.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "launch/exit_code.h"
#include "launch/rank_log.h"
#include "launch/rank_table.h"

namespace sbm::launch {
namespace {

// A collective that misses its deadline reports better than the watchdog can: let it go first.
constexpr std::chrono::seconds kWatchdogGrace{10};
// For data generation and the checks of a resume, which take as long as disks and sizes ask for.
constexpr std::chrono::hours kStartUpTimeout{2};

constexpr unsigned kLastWordsSeconds = 3;

extern "C" void end_now(int) { ::_exit(kPeerFailure); }

int threads_of_a_rank(distributed::Communicator& communicator, int configured) {
  const std::vector<std::string> hosts =
      distributed::all_gather_strings(communicator, communicator.host());
  if (configured > 0) return configured;
  const auto ranks_here = std::count(hosts.begin(), hosts.end(), communicator.host());
  // A launcher that binds gives each rank its own processors; one that does not lets all share all.
  const int usable = usable_processors();
  const bool bound = usable < static_cast<int>(std::thread::hardware_concurrency());
  return static_cast<int>(std::max<std::int64_t>(1, bound ? usable : usable / ranks_here));
}

}  // namespace

Runtime::Runtime(distributed::Communicator& communicator, const trainer::Runtime& settings,
                 std::filesystem::path log)
    : communicator_(communicator), timeout_(settings.timeout_seconds()), log_(std::move(log)) {
  communicator_.set_timeout(std::max<std::chrono::seconds>(timeout_, kStartUpTimeout));
  threads_ = threads_of_a_rank(communicator_, settings.threads());
  at::set_num_threads(threads_);
}

Runtime::~Runtime() = default;

void Runtime::beat(std::int64_t step, const char* operation) {
  if (!watchdog_) {
    communicator_.set_timeout(timeout_);
    const std::string who =
        fmt::format("rank {} on {}", communicator_.rank(), communicator_.host());
    watchdog_ = std::make_unique<distributed::Watchdog>(
        timeout_, std::min(timeout_, kWatchdogGrace),
        [who, log = log_,
         host = communicator_.host()](const distributed::Watchdog::Silence& silence) {
          // Nothing but system calls: the rest of the process may hold any lock.
          const std::string text = fmt::format(
              "sbm: {}: no progress for {:.0f} s at step {} in {}; ending this rank "
              "(runtime.timeout_seconds)",
              who, static_cast<double>(silence.time.count()) / 1000.0, silence.step,
              silence.operation);
          const std::string line = text + "\n";
          [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
          // The disk of the log may be what hangs.
          ::signal(SIGALRM, end_now);
          ::alarm(kLastWordsSeconds);
          if (!log.empty()) append_last_words(log, host, text);
          ::_exit(kPeerFailure);
        });
  }
  watchdog_->beat(step, operation);
}

std::function<void(std::int64_t, const char*)> Runtime::heartbeat() {
  return [this](std::int64_t step, const char* operation) { beat(step, operation); };
}

}  // namespace sbm::launch
