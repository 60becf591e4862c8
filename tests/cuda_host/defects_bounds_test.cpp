#include "cuda_host/defects.h"

namespace sbm::cuda_host::defects {
namespace {

namespace ptx = kernels::cuda::ptx;

template <int kPast>
__global__ void static_shared_past(const Params params) {
  SBM_SHARED_ARRAY(unsigned, tile, kThreads);
  SBM_SHARED_ARRAY(unsigned, other, kThreads);
  other[threadIdx.x] = 0;
  tile[(threadIdx.x + kPast) % (kThreads + (kPast == 0 ? 0 : 1))] = params.in[threadIdx.x];
  __syncthreads();
  params.out[threadIdx.x] =
      tile[(threadIdx.x + kPast) % (kThreads + (kPast == 0 ? 0 : 1))] + other[threadIdx.x];
}

TEST(Defects, OnePastAStaticSharedArray) {
  expect_clean(static_shared_past<0>, {}, same);
  expect_caught(static_shared_past<1>, {}, same, kAll, "'tile'");
}

template <unsigned kPast>
__global__ void dynamic_shared_past(const Params params) {
  SBM_DYNAMIC_SHARED(unsigned, tile);
  tile[threadIdx.x + kPast] = params.in[threadIdx.x];
  __syncthreads();
  params.out[threadIdx.x] = tile[threadIdx.x + kPast];
}

TEST(Defects, OnePastDynamicSharedMemory) {
  const Shape shape{1, kThreads * sizeof(unsigned), kThreads};
  expect_clean(dynamic_shared_past<0>, shape, same);
  expect_caught(dynamic_shared_past<1>, shape, same, kAll, "'dynamic shared memory'");
}

template <bool kDefect>
__global__ void read_shared_past(const Params params) {
  SBM_SHARED_ARRAY(unsigned, tile, kThreads);
  tile[threadIdx.x] = params.in[threadIdx.x];
  __syncthreads();
  const unsigned past = tile[params.count - (kDefect ? 0 : 1)];
  params.out[threadIdx.x] = params.in[threadIdx.x] + (past == 0 ? 1 : 0);
}

TEST(Defects, ReadOnePastASharedArray) {
  expect_clean(read_shared_past<false>, {}, same);
  expect_caught(read_shared_past<true>, {}, same, kSanitizers | kRace, "0 bytes behind");
}

template <bool kDefect>
__global__ void global_past(const Params params) {
  params.out[threadIdx.x + (kDefect ? 1 : 0)] = params.in[threadIdx.x];
}

TEST(Defects, OnePastAGlobalBuffer) {
  expect_clean(global_past<false>, {}, same);
  expect_caught(global_past<true>, {}, same, kAll, "'out'");
}

TEST(Defects, OnePastARaggedGlobalBuffer) {
  const Shape shape{1, 0, kThreads - 1};
  // The plain build sees no more than what differs from 0xFF in the last 16 bytes.
  expect_caught(global_past<false>, shape, same, kSanitizers | kRace, "0 bytes behind");
}

template <bool kDefect>
__global__ void global_read_past(const Params params) {
  const unsigned past = params.in[params.count - (kDefect ? 0 : 1)];
  params.out[threadIdx.x] = params.in[threadIdx.x] + (past == 0 ? 1 : 0);
}

TEST(Defects, ReadOnePastAGlobalBuffer) {
  expect_clean(global_read_past<false>, {}, same);
  expect_caught(global_read_past<true>, {}, same, kAll, "'in'");
}

template <bool kDefect>
__global__ void unwritten_shared(const Params params) {
  SBM_SHARED_ARRAY(unsigned, tile, kThreads);
  if (!kDefect || threadIdx.x != 7) tile[threadIdx.x] = 0;
  params.out[threadIdx.x] = params.in[threadIdx.x] + tile[threadIdx.x] / 0xffffffffU;
  if (kDefect && threadIdx.x == 7) params.out[7] -= 1;
}

TEST(Defects, UnwrittenShared) {
  expect_clean(unwritten_shared<false>, {}, same);
  expect_caught(unwritten_shared<true>, {}, same, kRace, "nobody has written");
}

TEST(Defects, UnwrittenGlobal) {
  const DeviceBuffer<unsigned> fresh(kThreads, "fresh");
  const DeviceBuffer<unsigned> out(kThreads, "out");
  const auto run = [&] {
    return kernels::cuda::launch(global_past<false>, dim3(1), dim3(kThreads), 0, test_stream(),
                                 Params{fresh.data(), out.data(), kThreads});
  };
  if (this_build() == kRace) {
    EXPECT_THROW(static_cast<void>(run()), KernelDefect);
  } else {
    EXPECT_TRUE(run().ok());
  }
}

template <unsigned kOffset>
__global__ void copy_from(const Params params) {
  SBM_SHARED_ARRAY(unsigned, tile, 4);
  if (threadIdx.x == 0) {
    ptx::cp_async_16(tile, params.in + params.count - kOffset, true);
    ptx::cp_async_commit();
    ptx::cp_async_wait<0>();
  }
  params.out[threadIdx.x] = params.in[threadIdx.x];
}

TEST(Defects, CopyFromBesideABuffer) {
  expect_clean(copy_from<4>, {}, same);
  expect_caught(copy_from<0>, {}, same, kAll, "source outside every buffer");
  expect_caught(copy_from<5>, {}, same, kAll, "no multiple of 16 bytes");
}

template <bool kDefect>
__global__ void local_array(const Params params) {
  unsigned values[8];
  for (unsigned i = 0; i < 8; ++i) values[i] = params.in[(threadIdx.x + i) % kThreads];
  // 7 or 8, known only at run time.
  const unsigned last = params.count / kThreads + (kDefect ? 7 : 6);
  params.out[threadIdx.x] = params.in[threadIdx.x] + (values[last] == 0 ? 1 : 0);
}

TEST(Defects, LocalArray) {
  expect_clean(local_array<false>, {}, same);
  expect_caught(local_array<true>, {}, same, kSanitizers, "local array");
}

template <bool kDefect>
__global__ void undefined_arithmetic(const Params params) {
  const int shift = static_cast<int>(params.count / kThreads) * (kDefect ? 32 : 0);
  params.out[threadIdx.x] = params.in[threadIdx.x] << shift;
}

TEST(Defects, UndefinedArithmetic) {
  expect_clean(undefined_arithmetic<false>, {}, same);
  expect_caught(undefined_arithmetic<true>, {}, same, kSanitizers, "hift exponent");
}

template <unsigned kOffset>
__global__ void vector_load(const Params params) {
  if (threadIdx.x < kThreads / 4 - 1) {
    const auto* vectors = reinterpret_cast<const uint4*>(params.in + kOffset);
    const uint4 vector = vectors[threadIdx.x];
    params.out[4 * threadIdx.x] = vector.x - vector.x;
  }
  __syncthreads();
  params.out[threadIdx.x] = params.in[threadIdx.x];
}

TEST(Defects, MisalignedVector) {
  expect_clean(vector_load<0>, {}, same);
  expect_caught(vector_load<1>, {}, same, kSanitizers, "misaligned address");
}

__global__ void null_pointer(const Params params) {
  const unsigned* nothing = params.count == 0 ? params.in : nullptr;
  params.out[threadIdx.x] = nothing[threadIdx.x];
}

TEST(Defects, NullPointer) { expect_caught(null_pointer, {}, same, kAll, ""); }

unsigned descend(unsigned depth, const unsigned* values) {
  volatile unsigned frame[1024];
  frame[depth % 1024] = values[0];
  return depth == 0 ? frame[0] : descend(depth - 1, values) + frame[depth % 1024];
}

__global__ void deep_recursion(const Params params) {
  params.out[threadIdx.x] = descend(params.count * 1000, params.in);
}

TEST(Defects, StackOverflow) {
  expect_caught(deep_recursion, {}, same, kPlain, "stack of a thread overflowed");
}

__global__ void too_much_shared(const Params params) {
  SBM_SHARED_ARRAY(unsigned, large, 60000);
  large[threadIdx.x] = 0;
  params.out[threadIdx.x] = params.in[threadIdx.x];
}

TEST(Defects, TooMuchSharedMemory) {
  expect_caught(too_much_shared, {}, same, kAll, "are the limit");
  expect_caught(dynamic_shared_past<0>, {1, std::size_t{300} << 10, kThreads}, same, kAll,
                "refused");
  expect_caught(dynamic_shared_past<0>, {1, 0, kThreads}, same, kAll, "gives it none");
}

}  // namespace
}  // namespace sbm::cuda_host::defects
