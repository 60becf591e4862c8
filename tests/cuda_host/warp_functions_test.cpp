#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "cuda_host/device_buffer.h"
#include "cuda_host/order.h"
#include "kernels/cuda/device.cuh"

namespace sbm::cuda_host {
namespace {

constexpr unsigned kThreads = 64;
constexpr unsigned kAll = 0xffffffffU;
constexpr unsigned kFunctions = 16;

struct Params {
  const unsigned* in;
  unsigned* out;  // [kFunctions][kThreads]
};

std::vector<unsigned> random_values() {
  std::mt19937 random(6);
  std::vector<unsigned> values(kThreads);
  for (auto& value : values) value = static_cast<unsigned>(random());
  return values;
}

std::vector<std::vector<unsigned>> results_of(void (*kernel)(Params),
                                              const std::vector<unsigned>& input) {
  const DeviceBuffer<unsigned> in(input, "in");
  const DeviceBuffer<unsigned> out(std::vector<unsigned>(std::size_t{kFunctions} * kThreads),
                                   "out");
  const kernels::Status status = kernels::cuda::launch(
      kernel, dim3(1), dim3(kThreads), 0, test_stream(), Params{in.data(), out.data()});
  EXPECT_TRUE(status.ok()) << status.message();
  const std::vector<unsigned> flat = out.download();
  std::vector<std::vector<unsigned>> rows;
  for (std::size_t i = 0; i < kFunctions; ++i) {
    const auto first = flat.begin() + static_cast<std::ptrdiff_t>(i * kThreads);
    rows.emplace_back(first, first + kThreads);
  }
  return rows;
}

__global__ void __launch_bounds__(kThreads) shuffle_values(const Params params) {
  const unsigned value = params.in[threadIdx.x];
  const auto store = [&](unsigned row, unsigned result) {
    params.out[row * kThreads + threadIdx.x] = result;
  };
  store(0, __shfl_sync(kAll, value, 5));
  store(1, __shfl_sync(kAll, value, static_cast<int>(threadIdx.x * 7 % 32)));
  store(2, __shfl_sync(kAll, value, 2, 4));
  store(3, __shfl_up_sync(kAll, value, 3));
  store(4, __shfl_up_sync(kAll, value, 3, 8));
  store(5, __shfl_down_sync(kAll, value, 3));
  store(6, __shfl_down_sync(kAll, value, 3, 8));
  store(7, __shfl_xor_sync(kAll, value, 17));
  const auto wide = __shfl_xor_sync(kAll, static_cast<unsigned long long>(value) << 20, 1);
  store(8, static_cast<unsigned>(wide >> 20));
  store(9, __float_as_uint(__shfl_xor_sync(kAll, __uint_as_float(value & 0x3fffffffU), 2)));
  // Two halves of a warp, each on its own.
  if (threadIdx.x % 32 < 16) {
    store(10, __shfl_xor_sync(0x0000ffffU, value, 8));
  } else {
    store(10, __shfl_xor_sync(0xffff0000U, value, 4));
  }
}

TEST(WarpFunctions, Shuffle) {
  const std::vector<unsigned> in = random_values();
  for_each_order([&] {
    const auto rows = results_of(shuffle_values, in);
    for (unsigned i = 0; i < kThreads; ++i) {
      const unsigned warp = i / 32 * 32;
      const unsigned lane = i % 32;
      EXPECT_EQ(rows[0][i], in[warp + 5]);
      EXPECT_EQ(rows[1][i], in[warp + i * 7 % 32]);
      EXPECT_EQ(rows[2][i], in[i / 4 * 4 + 2]);
      EXPECT_EQ(rows[3][i], in[lane < 3 ? i : i - 3]);
      EXPECT_EQ(rows[4][i], in[lane % 8 < 3 ? i : i - 3]);
      EXPECT_EQ(rows[5][i], in[lane >= 29 ? i : i + 3]);
      EXPECT_EQ(rows[6][i], in[lane % 8 >= 5 ? i : i + 3]);
      EXPECT_EQ(rows[7][i], in[i ^ 17]);
      EXPECT_EQ(rows[8][i], in[i ^ 1]);
      EXPECT_EQ(rows[9][i], in[i ^ 2] & 0x3fffffffU);
      EXPECT_EQ(rows[10][i], in[lane < 16 ? i ^ 8 : i ^ 4]);
    }
  });
}

__global__ void __launch_bounds__(kThreads) vote_and_reduce(const Params params) {
  const unsigned value = params.in[threadIdx.x];
  const int number = static_cast<int>(value);
  const auto store = [&](unsigned row, unsigned result) {
    params.out[row * kThreads + threadIdx.x] = result;
  };
  store(0, __ballot_sync(kAll, (value & 1) != 0));
  store(1, static_cast<unsigned>(__any_sync(kAll, value == params.in[33])));
  store(2, static_cast<unsigned>(__all_sync(kAll, threadIdx.x < 32)));
  store(3, __match_any_sync(kAll, value % 3));
  store(4, __reduce_add_sync(kAll, value));
  store(5, __reduce_min_sync(kAll, value));
  store(6, __reduce_max_sync(kAll, value));
  store(7, __reduce_and_sync(kAll, value | 0xff00U));
  store(8, __reduce_or_sync(kAll, value & 0xff00U));
  store(9, __reduce_xor_sync(kAll, value));
  store(10, static_cast<unsigned>(__reduce_min_sync(kAll, number)));
  store(11, static_cast<unsigned>(__reduce_max_sync(kAll, number)));
  store(12, static_cast<unsigned>(__syncthreads_count(static_cast<int>(value & 1))));
  store(13, static_cast<unsigned>(__syncthreads_or(value == params.in[33] ? 1 : 0)));
  store(14, static_cast<unsigned>(__syncthreads_and(threadIdx.x < 32 ? 1 : 0)));
  store(15, threadIdx.x % 32 < 16 ? __ballot_sync(0x0000ffffU, 1) : __ballot_sync(0xffff0000U, 1));
}

TEST(WarpFunctions, VoteAndReduce) {
  const std::vector<unsigned> in = random_values();
  for_each_order([&] {
    const auto rows = results_of(vote_and_reduce, in);
    unsigned odd = 0;
    for (const unsigned value : in) odd += value & 1;
    for (unsigned i = 0; i < kThreads; ++i) {
      const unsigned warp = i / 32 * 32;
      unsigned votes = 0;
      unsigned alike = 0;
      unsigned sum = 0;
      unsigned least = in[warp];
      unsigned most = in[warp];
      unsigned both = ~0U;
      unsigned any = 0;
      unsigned parity = 0;
      auto least_number = static_cast<int>(in[warp]);
      auto most_number = least_number;
      for (unsigned lane = 0; lane < 32; ++lane) {
        const unsigned value = in[warp + lane];
        votes |= (value & 1) << lane;
        if (value % 3 == in[i] % 3) alike |= 1U << lane;
        sum += value;
        least = std::min(least, value);
        most = std::max(most, value);
        both &= value | 0xff00U;
        any |= value & 0xff00U;
        parity ^= value;
        least_number = std::min(least_number, static_cast<int>(value));
        most_number = std::max(most_number, static_cast<int>(value));
      }
      const std::array<unsigned, kFunctions> expected = {votes,
                                                         warp == 32 ? 1U : 0U,
                                                         warp == 0 ? 1U : 0U,
                                                         alike,
                                                         sum,
                                                         least,
                                                         most,
                                                         both,
                                                         any,
                                                         parity,
                                                         static_cast<unsigned>(least_number),
                                                         static_cast<unsigned>(most_number),
                                                         odd,
                                                         1U,
                                                         0U,
                                                         i % 32 < 16 ? 0x0000ffffU : 0xffff0000U};
      for (unsigned row = 0; row < kFunctions; ++row) {
        EXPECT_EQ(rows[row][i], expected[row]) << "function " << row << ", thread " << i;
      }
    }
  });
}

__global__ void __launch_bounds__(kThreads) count_atomically(const Params params) {
  SBM_SHARED_ARRAY(unsigned, counter, 1);
  const unsigned value = params.in[threadIdx.x];
  if (threadIdx.x == 0) counter[0] = 0;
  __syncthreads();
  const unsigned place = atomicAdd(&counter[0], 1U);
  atomicAdd(&params.out[0], value);
  atomicOr(&params.out[1], value & 0x0f0f0f0fU);
  atomicAnd(&params.out[2], value);
  atomicXor(&params.out[3], value);
  atomicMax(&params.out[4], value);
  atomicMin(&params.out[5], value ^ kAll);
  atomicAdd(reinterpret_cast<unsigned long long*>(&params.out[6]),
            static_cast<unsigned long long>(value));
  atomicMax(reinterpret_cast<int*>(&params.out[8]), static_cast<int>(value));
  if (atomicCAS(&params.out[9], 0U, value) == 0U) atomicExch(&params.out[10], value);
  // Every place is taken once.
  params.out[kThreads + place] = 1;
}

TEST(WarpFunctions, Atomics) {
  const std::vector<unsigned> in = random_values();
  for_each_order([&] {
    const auto rows = results_of(count_atomically, in);
    const auto& out = rows[0];
    unsigned any = 0;
    unsigned parity = 0;
    unsigned least = kAll;
    std::uint64_t sum = 0;
    int most = 0;
    for (const unsigned value : in) {
      any |= value & 0x0f0f0f0fU;
      parity ^= value;
      least = std::min(least, value ^ kAll);
      sum += value;
      most = std::max(most, static_cast<int>(value));
    }
    EXPECT_EQ(out[0], static_cast<unsigned>(sum));
    EXPECT_EQ(out[1], any);
    EXPECT_EQ(out[2], 0U);
    EXPECT_EQ(out[3], parity);
    EXPECT_EQ(out[4], least ^ kAll);
    EXPECT_EQ(out[5], 0U);
    EXPECT_EQ(out[6], static_cast<unsigned>(sum));
    EXPECT_EQ(out[7], static_cast<unsigned>(sum >> 32));
    EXPECT_EQ(out[8], static_cast<unsigned>(most));
    EXPECT_EQ(out[10], out[9]);
    EXPECT_NE(std::find(in.begin(), in.end(), out[9]), in.end());
    EXPECT_EQ(rows[1], std::vector<unsigned>(kThreads, 1));
  });
}

__global__ void __launch_bounds__(kThreads) compute_bits(const Params params) {
  const unsigned value = params.in[threadIdx.x];
  const unsigned next = params.in[(threadIdx.x + 1) % kThreads];
  const auto wide = static_cast<unsigned long long>(value) << 32 | next;
  const auto store = [&](unsigned row, unsigned result) {
    params.out[row * kThreads + threadIdx.x] = result;
  };
  const unsigned few = value >> (threadIdx.x % 33 == 32 ? 31 : threadIdx.x % 33) >> 1;
  store(0, static_cast<unsigned>(__popc(value)));
  store(1, static_cast<unsigned>(__popcll(wide)));
  store(2, static_cast<unsigned>(__clz(static_cast<int>(few))));
  store(3, static_cast<unsigned>(__ffs(static_cast<int>(few))));
  store(4, __brev(value));
  store(5, __umulhi(value, next));
  store(6, __byte_perm(value, next, 0x5140));
  store(7, __funnelshift_r(value, next, 13));
  store(8, __funnelshift_l(value, next, 13));
  store(9, __dp4a(value, next, 77U));
  store(10, static_cast<unsigned>(__clzll(static_cast<long long>(wide >> threadIdx.x))));
  store(11, static_cast<unsigned>(__ffsll(static_cast<long long>(wide << threadIdx.x))));
  store(12, static_cast<unsigned>(__umul64hi(wide, wide) >> 32));
  store(13, __float_as_uint(__fmaf_rn(0.1F, static_cast<float>(value), 0.3F)));
  store(14, static_cast<unsigned>(__float2int_rn(static_cast<float>(value >> 8) / 2)));
  store(15, min(value, next) ^ max(value, next) ^ __ldg(&params.in[0]));
}

TEST(WarpFunctions, Bits) {
  const std::vector<unsigned> in = random_values();
  const auto rows = results_of(compute_bits, in);
  for (unsigned i = 0; i < kThreads; ++i) {
    const unsigned value = in[i];
    const unsigned next = in[(i + 1) % kThreads];
    const auto wide = std::uint64_t{value} << 32 | next;
    const unsigned few = value >> (i % 33 == 32 ? 31 : i % 33) >> 1;
    unsigned reversed = 0;
    unsigned dot = 77;
    for (unsigned bit = 0; bit < 32; ++bit) reversed |= (value >> bit & 1) << (31 - bit);
    for (unsigned byte = 0; byte < 4; ++byte) {
      dot += (value >> 8 * byte & 0xff) * (next >> 8 * byte & 0xff);
    }
    const std::array<unsigned, kFunctions> expected = {
        static_cast<unsigned>(std::popcount(value)), static_cast<unsigned>(std::popcount(wide)),
        static_cast<unsigned>(std::countl_zero(few)),
        few == 0 ? 0U : static_cast<unsigned>(std::countr_zero(few)) + 1, reversed,
        static_cast<unsigned>(std::uint64_t{value} * next >> 32),
        (value & 0xff) | (next & 0xff) << 8 | (value >> 8 & 0xff) << 16 | (next >> 8 & 0xff) << 24,
        value >> 13 | next << 19, next << 13 | value >> 19, dot,
        static_cast<unsigned>(std::countl_zero(wide >> i)),
        wide << i == 0 ? 0U : static_cast<unsigned>(std::countr_zero(wide << i)) + 1,
        static_cast<unsigned>(static_cast<unsigned __int128>(wide) * wide >> 96),
        std::bit_cast<unsigned>(std::fma(0.1F, static_cast<float>(value), 0.3F)),
        // Halves round to the even neighbour.
        (value >> 8) / 2 + ((value >> 8) % 4 == 3 ? 1 : 0), value ^ next ^ in[0]};
    for (unsigned row = 0; row < kFunctions; ++row) {
      EXPECT_EQ(rows[row][i], expected[row]) << "function " << row << ", thread " << i;
    }
  }
}

}  // namespace
}  // namespace sbm::cuda_host
