#include <gtest/gtest.h>

#include <cstddef>
#include <numeric>
#include <string>
#include <vector>

#include "cuda_host/device_buffer.h"
#include "cuda_host/order.h"
#include "kernels/cuda/device.cuh"

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
__global__ void touch_last_byte(unsigned* found, std::size_t bytes) {
  SBM_DYNAMIC_SHARED(unsigned char, memory);
  if (threadIdx.x == 0) {
    memory[bytes - 1] = 77;
    *found = memory[bytes - 1];
  }
}

kernels::Status launch_touch(unsigned* found, std::size_t bytes) {
  return kernels::cuda::launch(touch_last_byte, dim3(1), dim3(32), bytes, test_stream(), found,
                               bytes);
}

// As much as sm_80 has, less, and what needs no asking.
TEST(Launch, GivesLargeSharedMemory) {
  for (const std::size_t kibibytes : {163, 49, 100, 48, 1}) {
    const DeviceBuffer<unsigned> found(1, "found");
    EXPECT_EQ(launch_touch(found.data(), kibibytes * 1024).message(), "") << kibibytes << " KiB";
    EXPECT_EQ(found.download(), std::vector<unsigned>{77});
  }
}

TEST(Launch, ReportsRefusals) {
  const DeviceBuffer<unsigned> found(1, "found");
  const std::string message = launch_touch(found.data(), 300 * 1024).message();
  EXPECT_NE(message.find("refused"), std::string::npos) << message;
  EXPECT_EQ(launch_touch(found.data(), 100 * 1024).message(), "");
}

}  // namespace
}  // namespace sbm::cuda_host
