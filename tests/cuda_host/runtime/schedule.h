#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "cuda_host/order.h"

namespace sbm::cuda_host {

/// Which of the threads that can run is next.
class Schedule {
 public:
  /// All threads of a block of `threads` are ready.
  void begin(const Order& order, std::uint64_t seed, std::size_t threads);
  void add(unsigned thread);
  [[nodiscard]] bool empty() const { return ready_count_ == 0; }
  /// Takes one; not when empty().
  unsigned take();
  /// True once in `one_in` on average; only in random orders.
  bool chance(unsigned one_in);

 private:
  unsigned take_in_order();
  unsigned take_random();

  Order order_;
  std::mt19937_64 random_;
  std::size_t ready_count_ = 0;
  // Forward and reverse: rounds over those that were ready when the round began.
  std::vector<unsigned> round_;
  std::vector<unsigned> next_round_;
  // Random: ready threads by warp. Either every turn draws a warp, or warps have ranks, so that
  // some run far ahead of others.
  bool ranked_ = false;
  std::vector<std::vector<unsigned>> ready_by_warp_;
  std::vector<std::size_t> warp_order_;
};

}  // namespace sbm::cuda_host
