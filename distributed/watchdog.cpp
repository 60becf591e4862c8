#include "distributed/watchdog.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace sbm::distributed {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

Watchdog::Watchdog(milliseconds timeout, milliseconds grace, FatalHandler on_silence)
    : limit_(timeout + grace), on_silence_(std::move(on_silence)) {
  if (timeout <= milliseconds(0) || grace < milliseconds(0)) {
    throw InternalError("watchdog: expected a timeout above 0 and a grace of at least 0, found " +
                        std::to_string(timeout.count()) + " ms and " +
                        std::to_string(grace.count()) + " ms");
  }
  if (!on_silence_) throw InternalError("watchdog: no handler");
  last_.operation = "start";
  thread_ = std::thread([this] { watch(); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Watchdog::beat(std::int64_t step, std::string_view operation) {
  const std::lock_guard lock(mutex_);
  last_.step = step;
  last_.operation = operation;
  last_.time = milliseconds(0);
}

void Watchdog::watch() {
  // Many short looks instead of one long wait: a look that comes far too late tells that the whole
  // process stood still, and then only a look's worth of silence is counted.
  const milliseconds look = std::clamp(limit_ / 16, milliseconds(1), milliseconds(1000));
  std::unique_lock lock(mutex_);
  auto before = Clock::now();
  while (!wake_.wait_for(lock, look, [this] { return stopping_; })) {
    const auto now = Clock::now();
    const auto passed = std::chrono::duration_cast<milliseconds>(now - before);
    before = now;
    last_.time += std::min(passed, 4 * look);
    if (last_.time >= limit_) {
      const Silence silence = last_;
      lock.unlock();
      on_silence_(silence);
      return;
    }
  }
}

}  // namespace sbm::distributed
