#include "launch/progress_bar.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <utility>

#include "trainer/progress.h"

namespace sbm::launch {
namespace {

constexpr std::size_t kWidth = 30;
constexpr std::chrono::milliseconds kInterval{100};

}  // namespace

ProgressBar::ProgressBar(Count count) : count_(std::move(count)), live_(trainer::is_terminal()) {}

ProgressBar::~ProgressBar() {
  if (shown_ != Clock::time_point{}) std::cerr << "\r\x1b[K" << std::flush;
}

void ProgressBar::show(const std::string& what, std::uint64_t done, std::uint64_t total) {
  const Clock::time_point now = Clock::now();
  if (begin_ == Clock::time_point{} || what != what_) {
    what_ = what;
    first_ = done;
    begin_ = now;
  }
  if (!live_ || now - shown_ < kInterval) return;
  shown_ = now;
  std::cerr << "\r" << line(done, total) << "\x1b[K" << std::flush;
}

std::string ProgressBar::line(std::uint64_t done, std::uint64_t total) const {
  const std::string head = what_.empty() ? "" : what_ + " ";
  if (total == 0) return head + count_(done, 0);
  const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const auto filled = static_cast<std::size_t>(share * kWidth);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  const double gained = share - static_cast<double>(first_) / static_cast<double>(total);
  const std::string left =
      gained > 0 ? fmt::format(", {:.0f} s left", seconds * (1 - share) / gained) : "";
  return fmt::format("{}[{}{}] {:3.0f} %  {}{}", head, std::string(filled, '#'),
                     std::string(kWidth - filled, ' '), 100 * share, count_(done, total), left);
}

}  // namespace sbm::launch
