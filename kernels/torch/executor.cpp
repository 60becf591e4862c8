#include "kernels/torch/executor.h"

#include <ATen/Parallel.h>

#include <atomic>

namespace sbm::kernels::torch {

void IntraOpExecutor::parallel_for(std::int64_t count,
                                   const std::function<void(std::int64_t)>& body) {
  if (count <= 0) return;
  // at::parallel_for cuts its range into one run for each thread; one element a thread and a shared
  // counter make that a queue. Even a single piece goes through it: outside of a parallel region a
  // BLAS call of the body would use all threads, and its sums would depend on their number.
  std::atomic<std::int64_t> next{0};
  at::parallel_for(0, concurrency(), 1, [&](std::int64_t, std::int64_t) {
    for (std::int64_t i = next.fetch_add(1, std::memory_order_relaxed); i < count;
         i = next.fetch_add(1, std::memory_order_relaxed)) {
      body(i);
    }
  });
}

int IntraOpExecutor::concurrency() const {
  return at::in_parallel_region() ? 1 : at::get_num_threads();
}

}  // namespace sbm::kernels::torch
