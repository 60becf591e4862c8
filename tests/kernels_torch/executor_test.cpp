#include "kernels/torch/executor.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
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

TEST(IntraOpExecutor, WorksInsideAParallelRegion) {
  const int before = at::get_num_threads();
  at::set_num_threads(2);
  std::atomic<int> calls{0};
  std::atomic<int> wide{0};
  at::parallel_for(0, 2, 1, [&](std::int64_t, std::int64_t) {
    IntraOpExecutor executor;
    if (executor.concurrency() != 1) ++wide;
    executor.parallel_for(100, [&](std::int64_t) { ++calls; });
  });
  at::set_num_threads(before);
  EXPECT_EQ(calls, 200);
  EXPECT_EQ(wide, 0);
}

}  // namespace
}  // namespace sbm::kernels::torch
