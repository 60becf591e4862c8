#include "launch/build_bar.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "trainer/progress.h"

namespace sbm::launch {
namespace {

constexpr std::size_t kWidth = 30;
constexpr std::chrono::milliseconds kInterval{100};

}  // namespace

BuildBar::BuildBar() : live_(trainer::is_terminal()) {}

BuildBar::~BuildBar() {
  if (shown_ != Clock::time_point{}) std::cerr << "\r\x1b[K" << std::flush;
}

void BuildBar::show(const data::BuildProgress& done) {
  const Clock::time_point now = Clock::now();
  if (!live_ || now - shown_ < kInterval) return;
  shown_ = now;
  std::cerr << "\r" << line(done) << "\x1b[K" << std::flush;
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
