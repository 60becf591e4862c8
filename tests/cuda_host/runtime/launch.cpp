#include "cuda_host/runtime/launch.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "cuda_host/order.h"
#include "cuda_host/runtime/block.h"
#include "cuda_host/runtime/faults.h"
#include "cuda_host/runtime/kernel_limits.h"
#include "cuda_host/runtime/memory.h"
#include "cuda_host/runtime/program.h"
#include "cuda_host/runtime/race.h"
#include "cuda_host/runtime/refusal.h"
#include "cuda_host/runtime/shared_memory.h"
#include "kernels/cuda/shared_limit.h"

namespace sbm::cuda_host {
namespace {

constexpr std::size_t kMostThreads = 1024;
thread_local int launches_until_refusal = -1;

std::string text(const dim3& size) {
  return std::to_string(size.x) + " x " + std::to_string(size.y) + " x " + std::to_string(size.z);
}

std::string refusal(const void* kernel, const dim3& grid, const dim3& block, std::size_t shared,
                    cudaStream_t stream) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffU || grid.y > 65535 ||
      grid.z > 65535) {
    return "grid " + text(grid) + ": 1..2^31-1 x 1..65535 x 1..65535 expected";
  }
  const std::size_t threads = std::size_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > kMostThreads || block.z > 64) {
    return "block " + text(block) + ": 1..1024 threads expected";
  }
  if (const std::size_t limit = shared_limit_of(kernel); shared > limit) {
    return std::to_string(shared) + " bytes of dynamic shared memory: at most " +
           std::to_string(limit) + " expected";
  }
  if (stream == nullptr) return "the null stream: an explicit one expected";
  if (launches_until_refusal >= 0 && launches_until_refusal-- == 0) return "the test wants it";
  return "";
}

}  // namespace

void refuse_after(int launches) { launches_until_refusal = launches; }

kernels::Status run_grid(const void* kernel, dim3 grid, dim3 block,
                         std::size_t dynamic_shared_bytes, cudaStream_t stream,
                         const KernelCall& call) {
  // As launch() does under nvcc.
  if (dynamic_shared_bytes > kernels::cuda::kSharedBytesUnasked &&
      kernels::cuda::raise_shared_limit(kernel) != cudaSuccess) {
    return kernels::Status::invalid("shared memory of kernel " + function_name(kernel) +
                                    " refused");
  }
  const std::string problem = refusal(kernel, grid, block, dynamic_shared_bytes, stream);
  if (!problem.empty()) {
    return kernels::Status::invalid("launch of kernel " + function_name(kernel) +
                                    " refused: " + problem);
  }
  catch_faults();
  GridRun run{grid, block, dynamic_shared_bytes, kernel, call};
  std::vector<std::size_t> order(std::size_t{grid.x} * grid.y * grid.z);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937_64 random(current_order().seed);
  switch (current_order().kind) {
    case Order::Kind::kForward:
      break;
    case Order::Kind::kReverse:
      std::reverse(order.begin(), order.end());
      break;
    case Order::Kind::kRandom:
      std::shuffle(order.begin(), order.end(), random);
      break;
  }
  race::begin_launch();
  for (const std::size_t block_number : order) {
    const uint3 index{static_cast<unsigned>(block_number % grid.x),
                      static_cast<unsigned>(block_number / grid.x % grid.y),
                      static_cast<unsigned>(block_number / grid.x / grid.y)};
    Block::current().run(run, index, random());
  }
  check_buffers();
  return kernels::Status();
}

}  // namespace sbm::cuda_host
