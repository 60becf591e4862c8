#include "kernels/torch/executor.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace sbm::kernels::torch {
namespace {

TEST(IntraOpExecutor, CallsEveryPieceOnce) {
  const int before = at::get_num_threads();
  for (const int threads : {1, 2, 4}) {
    at::set_num_threads(threads);
    IntraOpExecutor executor;
    EXPECT_EQ(executor.concurrency(), threads);
    for (const std::int64_t count : {0, 1, 2, 3, 1000}) {
      std::vector<std::atomic<int>> calls(static_cast<std::size_t>(count));
      executor.parallel_for(count, [&](std::int64_t i) { ++calls[static_cast<std::size_t>(i)]; });
      for (const auto& call : calls) EXPECT_EQ(call, 1);
    }
  }
  at::set_num_threads(before);
}

// Both threads are at work at once: each waits for the other.
TEST(IntraOpExecutor, UsesTheThreadsOfLibTorch) {
  const int before = at::get_num_threads();
  at::set_num_threads(2);
  std::atomic<int> arrived{0};
  std::vector<std::thread::id> threads(2);
  IntraOpExecutor executor;
  executor.parallel_for(2, [&](std::int64_t i) {
    threads[static_cast<std::size_t>(i)] = std::this_thread::get_id();
    ++arrived;
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (arrived < 2 && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
  });
  at::set_num_threads(before);
  EXPECT_NE(threads[0], threads[1]);
}

TEST(IntraOpExecutor, WorksInsideAParallelRegion) {
  const int before = at::get_num_threads();
  at::set_num_threads(2);
  std::atomic<int> calls{0};
  std::atomic<int> wide{0};
  IntraOpExecutor outer;
  outer.parallel_for(2, [&](std::int64_t) {
    IntraOpExecutor inner;
    if (inner.concurrency() != 1) ++wide;
    inner.parallel_for(100, [&](std::int64_t) { ++calls; });
  });
  at::set_num_threads(before);
  EXPECT_EQ(calls, 200);
  EXPECT_EQ(wide, 0);
}

}  // namespace
}  // namespace sbm::kernels::torch
