#pragma once

#include <chrono>
#include <string>

#include "data/build.h"

namespace sbm::launch {

/// What a terminal shows on stderr while a data set is built: a bar, counts, and the time that is
/// left, or counts alone when the number of samples is not known beforehand. It is wiped at the
/// end, so that an error that ends the build has a line of its own.
class BuildBar {
 public:
  BuildBar();
  ~BuildBar();
  BuildBar(const BuildBar&) = delete;
  BuildBar& operator=(const BuildBar&) = delete;

  /// At most ten times a second; nothing where stderr is no terminal.
  void show(const data::BuildProgress& done);

 private:
  using Clock = std::chrono::steady_clock;
  [[nodiscard]] std::string line(const data::BuildProgress& done) const;

  bool live_;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point shown_{};
};

}  // namespace sbm::launch
