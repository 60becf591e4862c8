#pragma once

#include <cstdint>

#include "distributed/flat_math.h"

// The kernels of the device's FlatMath: what flat_math_host.cpp does, with the same bits. Each is
// put into `stream` (a cudaStream_t) and returns CUDA's code of the launch; no synchronisation, no
// allocation, capturable in a graph.
namespace sbm::distributed {

/// Values of one sum of squares: FlatLayout::kChunk, which nvcc need not read the header of.
inline constexpr std::int64_t kChunkValues = 4096;
inline constexpr int kMostAdditions = 32;
inline constexpr int kMostSegments = 64;

/// The first `used` additions, over `count` elements each.
struct AdditionList {
  Addition additions[kMostAdditions];
  int used;
};

struct SegmentList {
  DecaySegment segments[kMostSegments];
  int used;
};

int launch_add(const AdditionList& list, std::int64_t count, void* stream);
/// One sum for each 4,096 of `values`.
int launch_sum_squares(const float* values, std::int64_t chunks, double* sums, void* stream);
int launch_finish_norm(const double* sums, std::int64_t count, double clip_norm, ClipState* state,
                       void* stream);
int launch_adamw(const AdamWCoefficients* coefficients, const SegmentList& list,
                 const AdamWBuffers& buffers, const ClipState* clip, void* stream);

}  // namespace sbm::distributed
