#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace sbm::launch {

/// What a terminal shows on stderr while something long is done: a bar, counts, and the time that
/// is left, or counts alone when the total is not known beforehand. It is wiped at the end, so that
/// an error that ends the work has a line of its own.
class ProgressBar {
 public:
  /// Says so many of so many; the total is 0 when it is not known.
  using Count = std::function<std::string(std::uint64_t done, std::uint64_t total)>;

  explicit ProgressBar(Count count);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// At most ten times a second; nothing where stderr is no terminal. `what`, if any, goes before
  /// the bar; another one than before begins anew.
  void show(const std::string& what, std::uint64_t done, std::uint64_t total);

  /// Whether anything is shown at all.
  [[nodiscard]] bool is_live() const { return live_; }

 private:
  using Clock = std::chrono::steady_clock;
  [[nodiscard]] std::string line(std::uint64_t done, std::uint64_t total) const;

  Count count_;
  bool live_;
  std::string what_;
  std::uint64_t first_ = 0;  ///< where the work began: a download may go on from the middle
  Clock::time_point begin_{};
  Clock::time_point shown_{};
};

}  // namespace sbm::launch
