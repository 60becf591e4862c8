// What launch() asks of CUDA about shared memory, by the bench's record of it.

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "cuda_host/device_buffer.h"
#include "cuda_host/runtime/kernel_limits.h"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/shared_limit.h"

namespace sbm::cuda_host {
namespace {

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
