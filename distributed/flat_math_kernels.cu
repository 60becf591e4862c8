#include <cuda_runtime_api.h>

#include <algorithm>

#include "distributed/flat_math_kernels.h"
#include "distributed/norm_tree.h"

// Compiled with --fmad=false: every product and sum is rounded where the processor rounds it.
namespace sbm::distributed {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kMostBlocks = 2048;
constexpr int kLanes = 8;
constexpr int kTreeLevels = 10;

int blocks_for(std::int64_t threads) {
  return static_cast<int>(
      std::clamp<std::int64_t>((threads + kThreads - 1) / kThreads, 1, kMostBlocks));
}

cudaStream_t stream_of(void* stream) { return static_cast<cudaStream_t>(stream); }

__global__ void add_kernel(AdditionList list, std::int64_t count) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    // An element's additions in their order, by one thread: a later one may read an earlier sum.
    for (int a = 0; a < list.used; ++a) list.additions[a].to[i] += list.additions[a].from[i];
  }
}

/// A thread for each of the eight interleaved sums of a chunk.
__global__ void sum_squares_kernel(const float* values, std::int64_t chunks, double* sums) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x / kLanes;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const std::int64_t first = (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kLanes;
  // Whole warps take the same number of rounds, so that all lanes meet in the shuffles.
  for (std::int64_t base = first - first % 4; base < chunks; base += stride) {
    const std::int64_t chunk = base + first % 4;
    double sum = 0.0;
    if (chunk < chunks) {
      const float* const own = values + chunk * kChunkValues;
      for (std::int64_t i = lane; i < kChunkValues; i += kLanes) {
        const double x = own[i];
        sum += x * x;
      }
    }
    for (int half = kLanes / 2; half > 0; half /= 2) {
      sum += __shfl_down_sync(0xFFFFFFFFU, sum, static_cast<unsigned>(half), kLanes);
    }
    if (lane == 0 && chunk < chunks) sums[chunk] = sum;
  }
}

/// Each thread sums a node ten levels below the root; then the levels above, all by the tree.
__global__ void finish_norm_kernel(const double* sums, std::int64_t count, double clip_norm,
                                   ClipState* state) {
  constexpr int kNodes = 1 << kTreeLevels;
  __shared__ double values[kNodes];
  __shared__ bool filled[kNodes];
  const int node = static_cast<int>(threadIdx.x);
  const TreeNode own = tree_node(count, kTreeLevels, node);
  filled[node] = own.begin < own.end;
  if (own.begin < own.end) values[node] = tree_node_sum(sums, own);
  for (int width = kNodes / 2; width > 0; width /= 2) {
    __syncthreads();
    double value = 0.0;
    bool is_filled = false;
    if (node < width) {
      is_filled = filled[2 * node];
      value = values[2 * node];
      if (filled[2 * node + 1]) value += values[2 * node + 1];
    }
    __syncthreads();
    if (node < width) {
      values[node] = value;
      filled[node] = is_filled;
    }
  }
  __syncthreads();
  if (node != 0) return;
  const double norm = count == 0 ? 0.0 : sqrt(values[0]);
  state->norm = norm;
  state->scale = clip_norm > 0.0 && norm > clip_norm ? static_cast<float>(clip_norm / norm) : 1.0F;
  state->finite = isfinite(norm) ? 1 : 0;
}

__global__ void adamw_kernel(const AdamWCoefficients* coefficients, SegmentList list,
                             AdamWBuffers buffers, const ClipState* clip) {
  if (clip != nullptr && clip->finite == 0) return;
  AdamWCoefficients c = *coefficients;
  if (clip != nullptr) c.gradient_scale = clip->scale;
  const DecaySegment segment = list.segments[blockIdx.y];
  const float keep = segment.decays != 0 ? c.decayed : 1.0F;
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = segment.begin + std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
       i < segment.end; i += stride) {
    adamw_element(c, keep, buffers.gradient[i], buffers.first_moment[i], buffers.second_moment[i],
                  buffers.weights[i]);
  }
}

}  // namespace

int launch_add(const AdditionList& list, std::int64_t count, void* stream) {
  add_kernel<<<blocks_for(count), kThreads, 0, stream_of(stream)>>>(list, count);
  return cudaGetLastError();
}

int launch_sum_squares(const float* values, std::int64_t chunks, double* sums, void* stream) {
  sum_squares_kernel<<<blocks_for(chunks * kLanes), kThreads, 0, stream_of(stream)>>>(values,
                                                                                      chunks, sums);
  return cudaGetLastError();
}

int launch_finish_norm(const double* sums, std::int64_t count, double clip_norm, ClipState* state,
                       void* stream) {
  finish_norm_kernel<<<1, 1 << kTreeLevels, 0, stream_of(stream)>>>(sums, count, clip_norm, state);
  return cudaGetLastError();
}

int launch_adamw(const AdamWCoefficients* coefficients, const SegmentList& list,
                 const AdamWBuffers& buffers, const ClipState* clip, void* stream) {
  std::int64_t longest = 1;
  for (int s = 0; s < list.used; ++s) {
    longest = std::max(longest, list.segments[s].end - list.segments[s].begin);
  }
  const dim3 grid(static_cast<unsigned>(blocks_for(longest)), static_cast<unsigned>(list.used));
  adamw_kernel<<<grid, kThreads, 0, stream_of(stream)>>>(coefficients, list, buffers, clip);
  return cudaGetLastError();
}

}  // namespace sbm::distributed
