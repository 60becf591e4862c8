#include "cuda_host/runtime/synchronization.h"

#include "cuda_host/runtime/block.h"
#include "cuda_host/runtime/race.h"

using sbm::cuda_host::Block;

namespace {

struct Vote {
  int predicate = 0;
  int result = 0;
};

template <class Reduce>
void vote(void* const* arguments, std::size_t threads, Reduce reduce) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < threads; ++i) {
    if (static_cast<Vote*>(arguments[i])->predicate != 0) ++count;
  }
  for (std::size_t i = 0; i < threads; ++i) {
    static_cast<Vote*>(arguments[i])->result = reduce(count, threads);
  }
}

}  // namespace

void __syncthreads(const std::source_location& where) {
  Block::current().meet_block("__syncthreads", where, nullptr, nullptr);
}

int __syncthreads_count(int predicate, const std::source_location& where) {
  Vote argument{predicate, 0};
  Block::current().meet_block(
      "__syncthreads_count", where, &argument, [](void* const* arguments, std::size_t threads) {
        vote(arguments, threads, [](auto count, auto) { return static_cast<int>(count); });
      });
  return argument.result;
}

int __syncthreads_and(int predicate, const std::source_location& where) {
  Vote argument{predicate, 0};
  Block::current().meet_block(
      "__syncthreads_and", where, &argument, [](void* const* arguments, std::size_t threads) {
        vote(arguments, threads, [](auto count, auto all) { return count == all ? 1 : 0; });
      });
  return argument.result;
}

int __syncthreads_or(int predicate, const std::source_location& where) {
  Vote argument{predicate, 0};
  Block::current().meet_block(
      "__syncthreads_or", where, &argument, [](void* const* arguments, std::size_t threads) {
        vote(arguments, threads, [](auto count, auto) { return count > 0 ? 1 : 0; });
      });
  return argument.result;
}

void __syncwarp(unsigned mask, const std::source_location& where) {
  sbm::cuda_host::Thread* self = Block::running();
  Block::current().meet_warp("__syncwarp", mask, where, self,
                             [](void* const* lanes, unsigned participants) {
                               sbm::cuda_host::Thread* threads[sbm::cuda_host::kWarpThreads] = {};
                               for (unsigned lane = 0; lane < sbm::cuda_host::kWarpThreads; ++lane)
                                 threads[lane] = static_cast<sbm::cuda_host::Thread*>(lanes[lane]);
                               sbm::cuda_host::race::order_lanes(threads, participants);
                             });
}
