#include "cuda_host/runtime/schedule.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "cuda_host/runtime/thread.h"

namespace sbm::cuda_host {

void Schedule::begin(const Order& order, std::uint64_t seed, std::size_t threads) {
  order_ = order;
  random_.seed(seed);
  ranked_ = random_() % 2 == 0;
  ready_count_ = 0;
  round_.clear();
  next_round_.clear();
  const std::size_t warps = (threads + kWarpThreads - 1) / kWarpThreads;
  ready_by_warp_.resize(warps);
  for (auto& ready : ready_by_warp_) ready.clear();
  warp_order_.resize(warps);
  std::iota(warp_order_.begin(), warp_order_.end(), std::size_t{0});
  std::shuffle(warp_order_.begin(), warp_order_.end(), random_);
  for (unsigned thread = 0; thread < threads; ++thread) add(thread);
}

void Schedule::add(unsigned thread) {
  ++ready_count_;
  if (order_.kind == Order::Kind::kRandom) {
    ready_by_warp_[thread / kWarpThreads].push_back(thread);
  } else {
    next_round_.push_back(thread);
  }
}

unsigned Schedule::take() {
  --ready_count_;
  return order_.kind == Order::Kind::kRandom ? take_random() : take_in_order();
}

unsigned Schedule::take_in_order() {
  if (round_.empty()) {
    round_.swap(next_round_);
    // Taken from the back.
    if (order_.kind == Order::Kind::kForward) {
      std::sort(round_.begin(), round_.end(), std::greater<>());
    } else {
      std::sort(round_.begin(), round_.end());
    }
  }
  const unsigned thread = round_.back();
  round_.pop_back();
  return thread;
}

unsigned Schedule::take_random() {
  const std::size_t warps = warp_order_.size();
  if (ranked_ && random_() % 256 == 0) {
    std::shuffle(warp_order_.begin(), warp_order_.end(), random_);
  }
  const std::size_t first = ranked_ ? 0 : random_() % warps;
  for (std::size_t i = 0;; ++i) {
    auto& ready = ready_by_warp_[warp_order_[(first + i) % warps]];
    if (ready.empty()) continue;
    std::swap(ready[random_() % ready.size()], ready.back());
    const unsigned thread = ready.back();
    ready.pop_back();
    return thread;
  }
}

bool Schedule::chance(unsigned one_in) {
  return order_.kind == Order::Kind::kRandom && random_() % one_in == 0;
}

}  // namespace sbm::cuda_host
