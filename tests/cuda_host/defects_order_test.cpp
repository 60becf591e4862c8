#include "cuda_host/defects.h"

namespace sbm::cuda_host::defects {
namespace {

namespace ptx = kernels::cuda::ptx;

template <bool kDefect>
__global__ void rotate(const Params params) {
  SBM_SHARED_ARRAY(unsigned, tile, kThreads);
  tile[threadIdx.x] = params.in[threadIdx.x];
  if (!kDefect) __syncthreads();
  params.out[threadIdx.x] = tile[(threadIdx.x + 40) % kThreads];
}

TEST(Defects, MissingBarrier) {
  expect_clean(rotate<false>, {}, rotated);
  expect_caught(rotate<true>, {}, rotated, kAll, "");
}

// Three tiles through one buffer: the next may come only when all have read the last.
template <bool kDefect>
__global__ void rotate_tiles(const Params params) {
  SBM_SHARED_ARRAY(unsigned, tile, kThreads);
  unsigned sum = 0;
  for (unsigned round = 0; round < 3; ++round) {
    if (!kDefect || round == 0) __syncthreads();
    tile[threadIdx.x] = params.in[threadIdx.x] * (round + 1);
    __syncthreads();
    sum += tile[(threadIdx.x + 40) % kThreads];
  }
  params.out[threadIdx.x] = sum / 6;
}

TEST(Defects, WriteAfterRead) {
  expect_clean(rotate_tiles<false>, {}, rotated);
  expect_caught(rotate_tiles<true>, {}, rotated, kPlain | kRace, "");
}

std::vector<unsigned> rotated_in_warps(const std::vector<unsigned>& input) {
  std::vector<unsigned> result(input.size());
  for (std::size_t i = 0; i < input.size(); ++i) result[i] = input[i / 32 * 32 + (i + 5) % 32];
  return result;
}

// A shuffle makes lanes meet, but their writes to memory need not be seen.
template <bool kDefect>
__global__ void rotate_in_warps(const Params params) {
  SBM_SHARED_ARRAY(unsigned, tile, kThreads);
  const unsigned first = threadIdx.x / 32 * 32;
  tile[threadIdx.x] = params.in[threadIdx.x];
  const unsigned zero = __shfl_sync(0xffffffffU, 0U, 3);
  if (!kDefect) __syncwarp();
  params.out[threadIdx.x] = tile[first + (threadIdx.x + 5) % 32] + zero;
}

TEST(Defects, ShuffleAsBarrier) {
  expect_clean(rotate_in_warps<false>, {}, rotated_in_warps);
  expect_caught(rotate_in_warps<true>, {}, rotated_in_warps, kRace, "race: read of");
}

// A warp's barrier does not reach the other warps.
template <bool kDefect>
__global__ void rotate_with_warp_barrier(const Params params) {
  SBM_SHARED_ARRAY(unsigned, tile, kThreads);
  tile[threadIdx.x] = params.in[threadIdx.x];
  if (kDefect) {
    __syncwarp();
  } else {
    __syncthreads();
  }
  params.out[threadIdx.x] = tile[(threadIdx.x + 40) % kThreads];
}

TEST(Defects, WarpBarrierForTheBlock) {
  expect_caught(rotate_with_warp_barrier<true>, {}, rotated, kAll, "");
}

std::vector<unsigned> counted(const std::vector<unsigned>& input) {
  std::vector<unsigned> result(input.size());
  result[0] = static_cast<unsigned>(input.size());
  return result;
}

template <bool kDefect>
__global__ void count_in_shared(const Params params) {
  SBM_SHARED_ARRAY(unsigned, counter, 1);
  if (threadIdx.x == 0) counter[0] = 0;
  __syncthreads();
  if (kDefect) {
    ++counter[0];
  } else {
    atomicAdd(&counter[0], 1U);
  }
  __syncthreads();
  if (threadIdx.x == 0) params.out[0] = counter[0];
}

TEST(Defects, IncrementForAtomicInShared) {
  expect_clean(count_in_shared<false>, {}, counted);
  expect_caught(count_in_shared<true>, {}, counted, kRace, "race");
}

template <bool kDefect>
__global__ void count_in_global(const Params params) {
  if (kDefect && threadIdx.x == 5) {
    ++params.out[0];
  } else {
    atomicAdd(&params.out[0], 1U);
  }
}

TEST(Defects, IncrementForAtomicInGlobal) {
  expect_clean(count_in_global<false>, {}, counted);
  expect_caught(count_in_global<true>, {}, counted, kRace, "race");
}

enum class CopyDefect { kNone, kNoWait, kNoBarrier, kWaitsForTooFew, kLeftUnderWay, kEarlyReuse };

// Two tiles, the second under way while the first is read.
template <CopyDefect kDefect>
__global__ void copy_tiles(const Params params) {
  constexpr unsigned kVectors = kThreads / 4;
  SBM_SHARED_ARRAY(uint4, tile, 2 * kVectors);
  const auto* source = reinterpret_cast<const uint4*>(params.in);
  const auto* words = reinterpret_cast<const unsigned*>(tile);
  const auto start = [&](unsigned half, unsigned shift) {
    if (threadIdx.x < kVectors) {
      ptx::cp_async_16(&tile[half * kVectors + threadIdx.x],
                       &source[(threadIdx.x + shift) % kVectors], true);
    }
    ptx::cp_async_commit();
  };
  start(0, 0);
  start(1, 0);
  if (kDefect == CopyDefect::kWaitsForTooFew) {
    ptx::cp_async_wait<2>();
  } else if (kDefect != CopyDefect::kNoWait) {
    ptx::cp_async_wait<1>();
  }
  if (kDefect != CopyDefect::kNoBarrier) __syncthreads();
  unsigned sum = words[(threadIdx.x + 40) % kThreads];
  if (kDefect == CopyDefect::kEarlyReuse) start(0, 1);
  if (kDefect == CopyDefect::kLeftUnderWay) {
    params.out[threadIdx.x] = sum;
    return;
  }
  ptx::cp_async_wait<0>();
  __syncthreads();
  sum += words[kThreads + (threadIdx.x + 40) % kThreads];
  params.out[threadIdx.x] = sum / 2;
}

TEST(Defects, AsynchronousCopies) {
  expect_clean(copy_tiles<CopyDefect::kNone>, {}, rotated);
  expect_caught(copy_tiles<CopyDefect::kNoWait>, {}, rotated, kAll, "");
  expect_caught(copy_tiles<CopyDefect::kWaitsForTooFew>, {}, rotated, kAll, "");
  expect_caught(copy_tiles<CopyDefect::kNoBarrier>, {}, rotated, kAll, "");
  expect_caught(copy_tiles<CopyDefect::kLeftUnderWay>, {}, rotated, kAll, "under way");
  expect_caught(copy_tiles<CopyDefect::kEarlyReuse>, {}, rotated, kAll, "");
}

std::vector<unsigned> both_blocks(const std::vector<unsigned>& input) {
  std::vector<unsigned> result(input.size());
  result[0] = 1;
  result[1] = 1;
  return result;
}

template <bool kDefect>
__global__ void write_by_two_blocks(const Params params) {
  if (threadIdx.x == 0) params.out[kDefect ? 0 : blockIdx.x] = 1;
  if (kDefect && threadIdx.x == 1) params.out[1] = 1;
}

TEST(Defects, TwoBlocksWriteOneWord) {
  const Shape shape{2, 0, kThreads};
  expect_clean(write_by_two_blocks<false>, shape, both_blocks);
  expect_caught(write_by_two_blocks<true>, shape, both_blocks, kRace, "of another block");
}

__global__ void read_another_block(const Params params) {
  if (blockIdx.x == 0) params.out[threadIdx.x] = params.in[threadIdx.x];
  if (blockIdx.x == 1 && params.out[threadIdx.x] == 5) params.out[threadIdx.x] = 6;
}

TEST(Defects, BlockReadsWhatAnotherWrites) {
  expect_caught(read_another_block, {2, 0, kThreads}, same, kRace, "of another block");
}

}  // namespace
}  // namespace sbm::cuda_host::defects
