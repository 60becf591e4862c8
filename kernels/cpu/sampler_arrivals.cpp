#include "kernels/cpu/sampler_arrivals.h"

#include <algorithm>
#include <cstddef>

#include "kernels/sampler_counters.h"

namespace sbm::kernels::cpu {

void list_arrivals(PhiloxKey stream, std::uint32_t row, std::uint32_t tag, const Process& process,
                   double expected, std::vector<Arrival>& arrivals) {
  arrivals.clear();
  if (process.end == 0) return;
  // Gaps are drawn some at a time, beyond the end too: none waits for the one before it, so the
  // processor computes several at once.
  constexpr int kBatch = 16;
  constexpr int kMore = 2;
  int batch = static_cast<int>(std::clamp(expected, 1.0, double{kBatch}));
  std::uint64_t gaps[kBatch];
  std::uint64_t position = 0;
  for (std::uint32_t first = 0;; first += static_cast<std::uint32_t>(batch), batch = kMore) {
    const std::size_t begin = arrivals.size();
    arrivals.resize(begin + static_cast<std::size_t>(batch));
    Arrival* next = arrivals.data() + begin;
    for (int i = 0; i < batch; ++i) {
      const PhiloxBlock block = philox4x32<kSamplerPhiloxRounds>(
          {row, first + static_cast<std::uint32_t>(i), tag, kLinearTag}, stream);
      gaps[i] = process.gap(wide_word(block, 0));
      next[i].uniform = wide_word(block, 1);
    }
    for (int i = 0; i < batch; ++i) {
      if (gaps[i] >= process.end - position) {
        arrivals.resize(begin + static_cast<std::size_t>(i));
        return;
      }
      position += gaps[i];
      next[i].position = position >> process.position_bits;
    }
  }
}

}  // namespace sbm::kernels::cpu
