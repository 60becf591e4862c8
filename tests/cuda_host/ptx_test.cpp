#include "kernels/cuda/ptx.cuh"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "cuda_host/device_buffer.h"
#include "cuda_host/order.h"

namespace sbm::cuda_host {
namespace {

namespace ptx = kernels::cuda::ptx;

constexpr unsigned kLanes = 32;

std::vector<std::uint32_t> random_words(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::uint32_t> words(count);
  for (auto& word : words) word = static_cast<std::uint32_t>(random());
  return words;
}

template <class Kernel, class Params>
void launch_warps(Kernel kernel, unsigned threads, const Params& params) {
  const kernels::Status status =
      kernels::cuda::launch(kernel, dim3(1), dim3(threads), 0, test_stream(), params);
  ASSERT_TRUE(status.ok()) << status.message();
}

struct CopyParams {
  const uint4* in;
  uint4* out;
  unsigned valid;  // vectors that exist in each half
};

constexpr unsigned kCopied = 64;

// Two groups, read one after the other by other threads than those that copied.
__global__ void __launch_bounds__(kCopied) copy_two_groups(const CopyParams params) {
  SBM_SHARED_ARRAY(uint4, tile, 2 * kCopied);
  const bool valid = threadIdx.x < params.valid;
  for (unsigned half = 0; half < 2; ++half) {
    ptx::cp_async_16(&tile[half * kCopied + threadIdx.x],
                     params.in + (valid ? half * params.valid + threadIdx.x : 0), valid);
    ptx::cp_async_commit();
  }
  const unsigned other = kCopied - 1 - threadIdx.x;
  ptx::cp_async_wait<1>();
  __syncthreads();
  params.out[other] = tile[other];
  ptx::cp_async_wait<0>();
  __syncthreads();
  params.out[kCopied + other] = tile[kCopied + other];
}

TEST(Ptx, CopiesAndFillsWithZeros) {
  constexpr unsigned kValid = 51;
  const std::vector<std::uint32_t> words = random_words(std::size_t{2} * kValid * 4, 1);
  std::vector<uint4> input(std::size_t{2} * kValid);
  std::memcpy(input.data(), words.data(), words.size() * sizeof(std::uint32_t));
  const DeviceBuffer<uint4> in(input, "in");
  for_each_order([&] {
    const DeviceBuffer<uint4> out(std::size_t{2} * kCopied, "out");
    launch_warps(copy_two_groups, kCopied, CopyParams{in.data(), out.data(), kValid});
    const std::vector<uint4> result = out.download();
    for (unsigned i = 0; i < 2 * kCopied; ++i) {
      const unsigned within = i % kCopied;
      uint4 expected{0, 0, 0, 0};
      if (within < kValid) expected = input[i / kCopied * kValid + within];
      EXPECT_EQ(std::memcmp(&result[i], &expected, sizeof expected), 0) << "vector " << i;
    }
  });
}

struct MatrixParams {
  const std::uint32_t* in;  // 32 rows of 16 bytes
  std::uint32_t* out;       // [4 + 4 + 2 + 2][32 lanes]
};

// Rows lie 48 bytes apart, and matrix i has the rows of another one than lane order suggests.
__global__ void __launch_bounds__(kLanes) load_matrices(const MatrixParams params) {
  constexpr unsigned kStride = 12;
  SBM_SHARED_ARRAY(std::uint32_t, tile, kLanes * kStride);
  const unsigned lane = threadIdx.x;
  for (unsigned i = 0; i < 4; ++i) tile[lane * kStride + i] = params.in[lane * 4 + i];
  __syncwarp();
  const std::uint32_t* row = &tile[(lane ^ 8) * kStride];
  std::uint32_t four[4];
  std::uint32_t two[2];
  ptx::ldmatrix_x4(four, row);
  for (unsigned i = 0; i < 4; ++i) params.out[i * kLanes + lane] = four[i];
  ptx::ldmatrix_x4_trans(four, row);
  for (unsigned i = 0; i < 4; ++i) params.out[(4 + i) * kLanes + lane] = four[i];
  ptx::ldmatrix_x2(two, row);
  for (unsigned i = 0; i < 2; ++i) params.out[(8 + i) * kLanes + lane] = two[i];
  ptx::ldmatrix_x2_trans(two, row);
  for (unsigned i = 0; i < 2; ++i) params.out[(10 + i) * kLanes + lane] = two[i];
}

TEST(Ptx, LoadsMatrices) {
  const std::vector<std::uint32_t> input = random_words(std::size_t{kLanes} * 4, 2);
  const auto element = [&](unsigned matrix, unsigned row, unsigned column) {
    const unsigned source = (8 * matrix + row) ^ 8;
    return input[source * 4 + column / 2] >> (16 * (column % 2)) & 0xffff;
  };
  const DeviceBuffer<std::uint32_t> in(input, "in");
  for_each_order([&] {
    const DeviceBuffer<std::uint32_t> out(std::size_t{12} * kLanes, "out");
    launch_warps(load_matrices, kLanes, MatrixParams{in.data(), out.data()});
    const std::vector<std::uint32_t> result = out.download();
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      const unsigned group = lane / 4;
      const unsigned pair = 2 * (lane % 4);
      for (unsigned matrix = 0; matrix < 4; ++matrix) {
        const std::uint32_t straight =
            element(matrix, group, pair) | element(matrix, group, pair + 1) << 16;
        const std::uint32_t transposed =
            element(matrix, pair, group) | element(matrix, pair + 1, group) << 16;
        EXPECT_EQ(result[matrix * kLanes + lane], straight) << matrix << " " << lane;
        EXPECT_EQ(result[(4 + matrix) * kLanes + lane], transposed) << matrix << " " << lane;
        if (matrix >= 2) continue;
        EXPECT_EQ(result[(8 + matrix) * kLanes + lane], straight) << matrix << " " << lane;
        EXPECT_EQ(result[(10 + matrix) * kLanes + lane], transposed) << matrix << " " << lane;
      }
    }
  });
}

// Matrices lie by rows, `a` 16 x depth, `b` depth x 8 (by columns: 8 x depth), `d` 16 x 8.
template <class Element, class Sum>
struct ProductParams {
  const Element* a;
  const Element* b;
  Sum* d;
};

template <class Element>
__device__ std::uint32_t packed(const Element* first) {
  std::uint32_t word = 0;
  memcpy(&word, first, sizeof word);
  return word;
}

// Fragments as the manual describes them; `depth` elements along the sum, `width` in a word.
template <unsigned kDepth, unsigned kWidth, class Element, class Sum>
__device__ void load_fragments(const ProductParams<Element, Sum>& params, std::uint32_t (&a)[4],
                               std::uint32_t (&b)[2], Sum (&d)[4]) {
  const unsigned group = threadIdx.x / 4;
  const unsigned quad_lane = threadIdx.x % 4;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned row = group + 8 * (i % 2);
    a[i] = packed(params.a + row * kDepth + kWidth * quad_lane + kDepth / 2 * (i / 2));
    d[i] = params.d[(group + 8 * (i / 2)) * 8 + 2 * quad_lane + i % 2];
  }
  for (unsigned i = 0; i < 2; ++i) {
    b[i] = packed(params.b + group * kDepth + kWidth * quad_lane + kDepth / 2 * i);
  }
}

template <class Sum>
__device__ void store_product(Sum* out, const Sum (&d)[4]) {
  for (unsigned i = 0; i < 4; ++i) {
    out[(threadIdx.x / 4 + 8 * (i / 2)) * 8 + 2 * (threadIdx.x % 4) + i % 2] = d[i];
  }
}

using ByteParams = ProductParams<std::uint8_t, std::uint32_t>;

__global__ void __launch_bounds__(kLanes) multiply_bytes(const ByteParams params) {
  std::uint32_t a[4];
  std::uint32_t b[2];
  std::uint32_t d[4];
  load_fragments<32, 4>(params, a, b, d);
  ptx::mma_m16n8k32_u8(d, a, b);
  store_product(params.d, d);
}

TEST(Ptx, MultipliesBytesExactlyModulo2To32) {
  const std::vector<std::uint32_t> words = random_words(4 * 32 + 2 * 32 + 128, 3);
  std::vector<std::uint8_t> a(16 * 32);
  std::vector<std::uint8_t> b(8 * 32);
  std::memcpy(a.data(), words.data(), a.size());
  std::memcpy(b.data(), words.data() + 128, b.size());
  std::fill(a.begin(), a.begin() + 32, 255);
  std::fill(b.begin(), b.begin() + 32, 255);
  std::vector<std::uint32_t> before(words.begin() + 192, words.begin() + 192 + 128);
  before[0] = 0xffffffffU;
  std::vector<std::uint32_t> expected = before;
  for (unsigned i = 0; i < 16; ++i) {
    for (unsigned j = 0; j < 8; ++j) {
      for (unsigned k = 0; k < 32; ++k) {
        expected[i * 8 + j] += std::uint32_t{a[i * 32 + k]} * b[j * 32 + k];
      }
    }
  }
  const DeviceBuffer<std::uint8_t> device_a(a, "a");
  const DeviceBuffer<std::uint8_t> device_b(b, "b");
  for_each_order([&] {
    const DeviceBuffer<std::uint32_t> d(before, "d");
    launch_warps(multiply_bytes, kLanes, ByteParams{device_a.data(), device_b.data(), d.data()});
    EXPECT_EQ(d.download(), expected);
  });
}

using Bf16Params = ProductParams<__nv_bfloat16, float>;

__global__ void __launch_bounds__(kLanes) multiply_bf16(const Bf16Params params) {
  std::uint32_t a[4];
  std::uint32_t b[2];
  float d[4];
  load_fragments<16, 2>(params, a, b, d);
  ptx::mma_m16n8k16_bf16(d, a, b);
  store_product(params.d, d);
}

struct Bf16Case {
  std::vector<__nv_bfloat16> a;
  std::vector<__nv_bfloat16> b;
  std::vector<float> before;
  std::vector<double> expected;
  std::vector<double> magnitude;  // sum of the absolute terms
};

template <class Draw>
Bf16Case bf16_case(Draw draw) {
  Bf16Case result{std::vector<__nv_bfloat16>(16 * 16), std::vector<__nv_bfloat16>(8 * 16),
                  std::vector<float>(16 * 8), std::vector<double>(16 * 8),
                  std::vector<double>(16 * 8)};
  for (auto& value : result.a) value = __float2bfloat16(draw());
  for (auto& value : result.b) value = __float2bfloat16(draw());
  for (auto& value : result.before) value = draw();
  for (std::size_t i = 0; i < 16; ++i) {
    for (std::size_t j = 0; j < 8; ++j) {
      double sum = result.before[i * 8 + j];
      double magnitude = std::abs(sum);
      for (std::size_t k = 0; k < 16; ++k) {
        const double term = static_cast<double>(__bfloat162float(result.a[i * 16 + k])) *
                            __bfloat162float(result.b[j * 16 + k]);
        sum += term;
        magnitude += std::abs(term);
      }
      result.expected[i * 8 + j] = sum;
      result.magnitude[i * 8 + j] = magnitude;
    }
  }
  return result;
}

void check_bf16(const Bf16Case& values, double tolerance) {
  const DeviceBuffer<__nv_bfloat16> a(values.a, "a");
  const DeviceBuffer<__nv_bfloat16> b(values.b, "b");
  for_each_order([&] {
    const DeviceBuffer<float> d(values.before, "d");
    launch_warps(multiply_bf16, kLanes, Bf16Params{a.data(), b.data(), d.data()});
    const std::vector<float> result = d.download();
    for (std::size_t i = 0; i < result.size(); ++i) {
      EXPECT_NEAR(result[i], values.expected[i], tolerance * values.magnitude[i]) << i;
    }
  });
}

// Sums of small integers are exact in any order, on any hardware.
TEST(Ptx, MultipliesBf16IntegersExactly) {
  std::mt19937 random(4);
  check_bf16(bf16_case([&] { return static_cast<float>(static_cast<int>(random() % 31) - 15); }),
             0);
}

// Hardware may cut off bits below the largest term: 17 terms, a unit in the last place of fp32
// each.
TEST(Ptx, MultipliesBf16) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  check_bf16(bf16_case([&] { return normal(random); }), 17 * std::ldexp(1.0, -23));
}

struct Exp2Params {
  const float* in;
  float* out;
  unsigned count;
};

__global__ void __launch_bounds__(128) exponentiate(const Exp2Params params) {
  for (unsigned i = threadIdx.x; i < params.count; i += 128) {
    params.out[i] = ptx::exp2_approx(params.in[i]);
  }
}

TEST(Ptx, Exponentiates) {
  std::vector<float> inputs = {-INFINITY, -1000, -126.5F, 0, 1e-40F, 127.5F, 128, INFINITY};
  for (int i = -8000; i <= 8000; ++i) inputs.push_back(static_cast<float>(i) / 64.1F);
  const DeviceBuffer<float> in(inputs, "in");
  const DeviceBuffer<float> out(inputs.size(), "out");
  launch_warps(exponentiate, 128,
               Exp2Params{in.data(), out.data(), static_cast<unsigned>(inputs.size())});
  const std::vector<float> result = out.download();
  EXPECT_EQ(result[0], 0);
  EXPECT_EQ(result[1], 0);
  EXPECT_EQ(result[2], 0);
  EXPECT_EQ(result[3], 1);
  EXPECT_EQ(result[4], 1);
  EXPECT_EQ(result[6], INFINITY);
  EXPECT_EQ(result[7], INFINITY);
  for (std::size_t i = 5; i < inputs.size(); ++i) {
    if (i == 6 || i == 7) continue;
    const double exact = std::exp2(static_cast<double>(inputs[i]));
    EXPECT_NEAR(result[i], exact, exact * std::exp2(-22.0)) << inputs[i];
  }
}

}  // namespace
}  // namespace sbm::cuda_host
