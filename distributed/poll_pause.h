#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

namespace sbm::distributed {

/// Gives the core away between two polls. Ranks often share cores: short waits only yield, so that
/// a small collective costs microseconds; longer ones sleep an eighth of the time waited, at most
/// 100 us, so that a peer that still computes has the core to itself.
inline void pause_between_polls(std::chrono::steady_clock::duration waited) {
  using std::chrono::microseconds;
  constexpr microseconds kOnlyYield{200};
  constexpr microseconds kLongestSleep{100};
  if (waited < kOnlyYield) {
    std::this_thread::yield();
  } else {
    std::this_thread::sleep_for(
        std::min<std::chrono::steady_clock::duration>(waited / 8, kLongestSleep));
  }
}

}  // namespace sbm::distributed
