#include <gtest/gtest.h>

#include <cstddef>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "cuda_host/device_buffer.h"
#include "cuda_host/order.h"
#include "cuda_host/runtime/kernel_limits.h"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/shared_limit.h"

namespace sbm::cuda_host {
namespace {

struct SumParams {
  const unsigned* values;
  unsigned* sums;  // one a block
  unsigned count;
};

template <unsigned kThreads>
__global__ void __launch_bounds__(kThreads) sum_blocks(const SumParams params) {
  SBM_SHARED_ARRAY(unsigned, partial, kThreads / 32);
  const unsigned i = blockIdx.x * kThreads + threadIdx.x;
  unsigned value = i < params.count ? params.values[i] : 0;
  for (int offset = 16; offset > 0; offset /= 2) {
    value += __shfl_down_sync(0xffffffffU, value, static_cast<unsigned>(offset));
  }
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
  __syncthreads();
  if (threadIdx.x == 0) {
    unsigned sum = 0;
    for (unsigned warp = 0; warp < kThreads / 32; ++warp) sum += partial[warp];
    params.sums[blockIdx.x] = sum;
  }
}

TEST(Launch, SumsBlocksInEveryOrder) {
  constexpr unsigned kThreads = 128;
  constexpr unsigned kBlocks = 5;
  std::vector<unsigned> values(kThreads * kBlocks - 7);
  std::iota(values.begin(), values.end(), 1U);
  const DeviceBuffer<unsigned> device_values(values, "values");
  std::vector<unsigned> expected(kBlocks);
  for (std::size_t i = 0; i < values.size(); ++i) expected[i / kThreads] += values[i];
  for_each_order([&] {
    const DeviceBuffer<unsigned> sums(kBlocks, "sums");
    const SumParams params{device_values.data(), sums.data(), static_cast<unsigned>(values.size())};
    const kernels::Status status = kernels::cuda::launch(sum_blocks<kThreads>, dim3(kBlocks),
                                                         dim3(kThreads), 0, test_stream(), params);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(sums.download(), expected);
  });
}

/// Writes and reads the last byte of its dynamic shared memory.
template <int kInstance>
__global__ void touch_last_byte(unsigned* found, std::size_t bytes) {
  SBM_DYNAMIC_SHARED(unsigned char, memory);
  if (threadIdx.x == 0) {
    memory[bytes - 1] = static_cast<unsigned char>(kInstance);
    *found = memory[bytes - 1];
  }
}

template <int kInstance>
void expect_launch(std::size_t bytes) {
  const DeviceBuffer<unsigned> found(1, "found");
  const kernels::Status status = kernels::cuda::launch(
      touch_last_byte<kInstance>, dim3(1), dim3(32), bytes, test_stream(), found.data(), bytes);
  EXPECT_EQ(status.message(), "") << bytes << " bytes";
  EXPECT_EQ(found.download(), std::vector<unsigned>{kInstance});
}

template <int kInstance>
LimitCalls calls_of_instance() {
  return limit_calls(reinterpret_cast<const void*>(touch_last_byte<kInstance>));
}

constexpr std::size_t kKibibyte = 1024;

TEST(LaunchSharedLimit, StaysWhereNoLaunchNeedsMore) {
  expect_launch<1>(48 * kKibibyte);
  EXPECT_EQ(calls_of_instance<1>().set, 0);
}

TEST(LaunchSharedLimit, IsRaisedOnceAndNeverLowered) {
  for (const std::size_t kibibytes : {160, 49, 227, 48, 1}) expect_launch<2>(kibibytes * kKibibyte);
  EXPECT_EQ(calls_of_instance<2>().set, 1);
  EXPECT_EQ(calls_of_instance<2>().lowered, 0);
}

TEST(LaunchSharedLimit, BelongsToADevice) {
  for (const int device : {1, 0, 1}) {
    ASSERT_EQ(cudaSetDevice(device), cudaSuccess);
    expect_launch<3>(100 * kKibibyte);
  }
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
  EXPECT_EQ(calls_of_instance<3>().set, 2);
}

// Two host threads with different sizes of one kernel: neither takes the other's limit away between
// its call of cudaFuncSetAttribute and its launch.
TEST(LaunchSharedLimit, IsTheSameForAllThreads) {
  constexpr int kThreads = 8;
  const auto* kernel = reinterpret_cast<const void*>(touch_last_byte<4>);
  std::vector<std::thread> threads;
  std::vector<std::size_t> seen(kThreads);
  std::vector<cudaError_t> errors(kThreads, cudaErrorUnknown);
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      errors[i] = kernels::cuda::raise_shared_limit(kernel);
      seen[i] = shared_limit_of(kernel);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(errors, std::vector<cudaError_t>(kThreads, cudaSuccess));
  EXPECT_EQ(seen, std::vector<std::size_t>(kThreads, 227 * kKibibyte));
  EXPECT_EQ(calls_of_instance<4>().set, 1);
  EXPECT_EQ(calls_of_instance<4>().lowered, 0);
}

TEST(LaunchSharedLimit, ReportsWhatCudaRefuses) {
  EXPECT_EQ(kernels::cuda::raise_shared_limit(nullptr), cudaErrorInvalidDeviceFunction);
  const DeviceBuffer<unsigned> found(1, "found");
  const std::size_t bytes = 228 * kKibibyte;
  const kernels::Status status = kernels::cuda::launch(touch_last_byte<5>, dim3(1), dim3(32), bytes,
                                                       test_stream(), found.data(), bytes);
  EXPECT_NE(status.message().find("232448 expected"), std::string::npos) << status.message();
}

}  // namespace
}  // namespace sbm::cuda_host
