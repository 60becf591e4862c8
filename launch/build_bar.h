#pragma once

#include <chrono>
#include <string>

#include "data/build.h"

namespace sbm::launch {

/// What a terminal shows while a data set is built: a bar, counts, and the time that is left, or
/// counts alone when the number of samples is not known beforehand.
class BuildBar {
 public:
  /// Whether it is time to show something again: ten times a second.
  bool is_due();

  /// One line, without its end.
  [[nodiscard]] std::string line(const data::BuildProgress& done) const;

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point shown_{};
};

}  // namespace sbm::launch
