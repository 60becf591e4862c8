#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "kernels/executor.h"

namespace sbm::kernels::testing {

/// `threads` threads that take the pieces from the last to the first, so in an order of their own,
/// and claim to be `concurrency`.
class ThreadExecutor final : public Executor {
 public:
  explicit ThreadExecutor(int threads) : ThreadExecutor(threads, threads) {}
  ThreadExecutor(int threads, int concurrency) : threads_(threads), concurrency_(concurrency) {}
  void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body) override {
    std::atomic<std::int64_t> next{count};
    const auto work = [&] {
      for (std::int64_t i = --next; i >= 0; i = --next) body(i);
    };
    std::vector<std::thread> others;
    for (int t = 1; t < threads_; ++t) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
  }
  [[nodiscard]] int concurrency() const override { return concurrency_; }

 private:
  int threads_;
  int concurrency_;
};

}  // namespace sbm::kernels::testing
