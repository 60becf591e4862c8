#pragma once

#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

// How the programs of this folder read their arguments and the clock.
namespace sbm::bench {

/// Argument `index` as a number, or the fallback where there is none.
inline double argument(int count, char** values, int index, double fallback) {
  return index < count ? std::strtod(values[index], nullptr) : fallback;
}

/// Processor time of this thread: a neighbour on the machine disturbs it less than the wall clock.
inline double thread_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

template <typename Work>
double fastest_ms(int repeats, const Work& work) {
  double best = std::numeric_limits<double>::infinity();
  for (int r = 0; r < repeats; ++r) {
    const double start = thread_ms();
    work();
    best = std::min(best, thread_ms() - start);
  }
  return best;
}

}  // namespace sbm::bench
