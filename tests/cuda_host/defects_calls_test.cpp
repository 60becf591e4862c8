#include "cuda_host/defects.h"

namespace sbm::cuda_host::defects {
namespace {

namespace ptx = kernels::cuda::ptx;

enum class MaskDefect {
  kNone,
  kCallerMissing,
  kEnded,
  kReadsOutside,
  kDifferentMasks,
  kDifferentCalls
};

template <MaskDefect kDefect>
__global__ void add_neighbours(const Params params) {
  const unsigned lane = threadIdx.x % 32;
  const unsigned value = params.in[threadIdx.x];
  unsigned other = value;
  if (kDefect == MaskDefect::kNone) {
    if (lane < 16) other = __shfl_xor_sync(0x0000ffffU, value, 1);
  } else if (kDefect == MaskDefect::kCallerMissing) {
    other = __shfl_xor_sync(0x0000ffffU, value, 1);
  } else if (kDefect == MaskDefect::kEnded) {
    if (lane == 31) return;
    other = __shfl_xor_sync(0xffffffffU, value, 1);
  } else if (kDefect == MaskDefect::kReadsOutside) {
    if (lane < 16) other = __shfl_sync(0x0000ffffU, value, 20);
  } else if (kDefect == MaskDefect::kDifferentMasks) {
    other = __shfl_xor_sync(lane < 16 ? 0xffffffffU : 0xffff0000U, value, 1);
  } else if (lane < 16) {
    other = __shfl_xor_sync(0xffffffffU, value, 1);
  } else {
    other = __shfl_down_sync(0xffffffffU, value, 1);
  }
  params.out[threadIdx.x] = lane < 16 ? other : value;
}

std::vector<unsigned> neighbours_of_half(const std::vector<unsigned>& input) {
  std::vector<unsigned> result = input;
  for (std::size_t i = 0; i < input.size(); ++i) {
    if (i % 32 < 16) result[i] = input[i ^ 1];
  }
  return result;
}

TEST(Defects, Masks) {
  expect_clean(add_neighbours<MaskDefect::kNone>, {}, neighbours_of_half);
  expect_caught(add_neighbours<MaskDefect::kCallerMissing>, {}, same, kAll,
                "which the mask does not name");
  expect_caught(add_neighbours<MaskDefect::kEnded>, {}, same, kAll, "which has ended");
  expect_caught(add_neighbours<MaskDefect::kReadsOutside>, {}, same, kAll,
                "which its mask does not name");
  expect_caught(add_neighbours<MaskDefect::kDifferentMasks>, {}, same, kAll,
                "meet at different calls");
  expect_caught(add_neighbours<MaskDefect::kDifferentCalls>, {}, same, kAll,
                "meet at different calls");
}

enum class BarrierDefect { kNone, kEnded, kDivergent, kDeadlock };

template <BarrierDefect kDefect>
__global__ void meet(const Params params) {
  if (kDefect == BarrierDefect::kEnded && threadIdx.x == 100) return;
  if (kDefect == BarrierDefect::kDivergent && threadIdx.x >= 64) {
    __syncthreads();
  } else if (kDefect == BarrierDefect::kDeadlock && threadIdx.x % 32 == 3) {
    __syncthreads();
  } else if (kDefect == BarrierDefect::kDeadlock) {
    __syncwarp();
  } else {
    __syncthreads();
  }
  params.out[threadIdx.x] = params.in[threadIdx.x];
}

TEST(Defects, Barriers) {
  expect_clean(meet<BarrierDefect::kNone>, {}, same);
  expect_caught(meet<BarrierDefect::kEnded>, {}, same, kAll, "threads that have ended");
  expect_caught(meet<BarrierDefect::kDivergent>, {}, same, kAll, "different barriers");
  expect_caught(meet<BarrierDefect::kDeadlock>, {}, same, kAll, "deadlock");
}

enum class MatrixDefect { kNone, kMissingLane, kRowOutside, kRowMisaligned };

template <MatrixDefect kDefect>
__global__ void load_matrix(const Params params) {
  SBM_SHARED_ARRAY(uint4, tile, kThreads);
  tile[threadIdx.x] = {0, 0, 0, 0};
  __syncwarp();
  if (kDefect == MatrixDefect::kMissingLane && threadIdx.x == 9) return;
  const char* row = reinterpret_cast<const char*>(&tile[threadIdx.x]);
  if (kDefect == MatrixDefect::kRowOutside && threadIdx.x == kThreads - 1) row += 16;
  if (kDefect == MatrixDefect::kRowMisaligned && threadIdx.x == 0) row += 4;
  std::uint32_t r[4];
  ptx::ldmatrix_x4(r, row);
  params.out[threadIdx.x] = params.in[threadIdx.x] + r[0];
}

TEST(Defects, Matrices) {
  expect_clean(load_matrix<MatrixDefect::kNone>, {}, same);
  expect_caught(load_matrix<MatrixDefect::kMissingLane>, {}, same, kAll, "which has ended");
  expect_caught(load_matrix<MatrixDefect::kRowOutside>, {}, same, kAll, "row outside");
  expect_caught(load_matrix<MatrixDefect::kRowMisaligned>, {}, same, kAll, "no multiple of 16");
}

__global__ void throws(const Params params) {
  if (params.count > 0) throw std::runtime_error("thrown");
}

TEST(Defects, ExceptionFromAKernel) { expect_caught(throws, {}, same, kAll, "thrown"); }

TEST(Defects, NullStream) {
  const kernels::Status status =
      kernels::cuda::launch(meet<BarrierDefect::kNone>, dim3(1), dim3(1), 0, nullptr, Params{});
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find("null stream"), std::string::npos) << status.message();
}

// After a defect the next launch starts afresh.
TEST(Defects, LaunchesGoOnAfterOne) {
  expect_caught(meet<BarrierDefect::kDeadlock>, {}, same, kAll, "deadlock");
  expect_clean(meet<BarrierDefect::kNone>, {}, same);
  expect_caught(add_neighbours<MaskDefect::kEnded>, {}, same, kAll, "which has ended");
  expect_clean(add_neighbours<MaskDefect::kNone>, {}, neighbours_of_half);
}

}  // namespace
}  // namespace sbm::cuda_host::defects
