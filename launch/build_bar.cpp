#include "launch/build_bar.h"

#include <fmt/format.h>

#include <algorithm>

namespace sbm::launch {
namespace {

constexpr std::size_t kWidth = 30;
constexpr std::chrono::milliseconds kInterval{100};

}  // namespace

bool BuildBar::is_due() {
  const Clock::time_point now = Clock::now();
  if (now - shown_ < kInterval) return false;
  shown_ = now;
  return true;
}

std::string BuildBar::line(const data::BuildProgress& done) const {
  if (done.total == 0) return fmt::format("{} samples", done.samples);
  const double share =
      std::min(1.0, static_cast<double>(done.samples) / static_cast<double>(done.total));
  const auto filled = static_cast<std::size_t>(share * kWidth);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  const std::string left =
      share > 0 ? fmt::format(", {:.0f} s left", seconds * (1 - share) / share) : "";
  return fmt::format("[{}{}] {:3.0f} %  {} of {} samples{}", std::string(filled, '#'),
                     std::string(kWidth - filled, ' '), 100 * share, done.samples, done.total,
                     left);
}

}  // namespace sbm::launch
