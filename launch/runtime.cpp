#include "launch/runtime.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "launch/exit_code.h"
#include "launch/rank_log.h"
#include "launch/rank_table.h"
#include "trainer/device_choice.h"
#include "trainer/gpus.h"

namespace sbm::launch {
namespace {

// A collective that misses its deadline reports better than the watchdog can: let it go first.
constexpr std::chrono::seconds kWatchdogGrace{10};
// For data generation and the checks of a resume, which take as long as disks and sizes ask for.
constexpr std::chrono::hours kStartUpTimeout{2};

constexpr unsigned kLastWordsSeconds = 3;

extern "C" void end_now(int) { ::_exit(kPeerFailure); }

// Of the thread that calls: the alarm must reach some thread, and others may block it.
void set_alarm() {
  ::signal(SIGALRM, end_now);
  sigset_t alarm_only;
  sigemptyset(&alarm_only);
  sigaddset(&alarm_only, SIGALRM);
  ::pthread_sigmask(SIG_UNBLOCK, &alarm_only, nullptr);
  ::alarm(kLastWordsSeconds);
}

[[noreturn]] void say_last_words(std::string_view who, std::string_view host,
                                 const std::filesystem::path& log,
                                 const distributed::Watchdog::Silence& silence) {
  // First: a full pipe behind stderr, or the disk of the log, may be what hangs.
  set_alarm();
  // On the stack: a thread that hangs may hold the lock of the heap.
  std::array<char, 1024> line{};
  const auto end =
      fmt::format_to_n(line.data(), line.size() - 1,
                       "sbm: {}: no progress for {} s at step {} in {}; ending this "
                       "rank (runtime.timeout_seconds)",
                       who, (silence.time.count() + 500) / 1000, silence.step, silence.operation);
  *end.out = '\n';
  const std::string_view text(line.data(), static_cast<std::size_t>(end.out - line.data()));
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), text.size() + 1);
  if (!log.empty()) append_last_words(log, host, text);
  ::_exit(kPeerFailure);
}

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

// Who built the program to use GPUs wonders why it does not; who did not, need not be told.
void say_device() {
  const trainer::Machine machine = trainer::find_gpus();
  if (machine.built_with_cuda) fmt::print(stderr, "{}\n", trainer::cpu_reason(machine));
}

}  // namespace

Runtime::Runtime(distributed::Communicator& communicator, const trainer::Runtime& settings,
                 std::filesystem::path log)
    : communicator_(communicator), timeout_(settings.timeout_seconds()), log_(std::move(log)) {
  communicator_.set_timeout(std::max<std::chrono::seconds>(timeout_, kStartUpTimeout));
  threads_ = threads_of_a_rank(communicator_, settings.threads());
  at::set_num_threads(threads_);
  if (communicator_.rank() == 0 && settings.device() == trainer::Runtime::AUTO) say_device();
}

Runtime::~Runtime() = default;

void Runtime::beat(std::int64_t step, const char* operation) {
  if (!watchdog_) {
    communicator_.set_timeout(timeout_);
    const std::string who =
        fmt::format("rank {} on {}", communicator_.rank(), communicator_.host());
    watchdog_ =
        std::make_unique<distributed::Watchdog>(timeout_, std::min(timeout_, kWatchdogGrace),
                                                [who, log = log_, host = communicator_.host()](
                                                    const distributed::Watchdog::Silence& silence) {
                                                  say_last_words(who, host, log, silence);
                                                });
  }
  communicator_.set_step(step);
  watchdog_->beat(step, operation);
}

std::function<void(std::int64_t, const char*)> Runtime::heartbeat() {
  return [this](std::int64_t step, const char* operation) { beat(step, operation); };
}

}  // namespace sbm::launch
