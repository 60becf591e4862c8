#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "distributed/adamw_element.h"
#include "distributed/communicator.h"

// What gradient reduction and optimiser compute on flat fp32 buffers, where the buffers lie. Each
// result has one order of operations, so the processor and the GPU give the same bits.
namespace sbm::distributed {

/// to[i] += from[i].
struct Addition {
  float* to = nullptr;
  const float* from = nullptr;
};

/// The gradient's norm and what follows from it, in the memory of a FlatMath.
struct ClipState {
  double norm = 0.0;        ///< of the whole gradient, before clipping
  float scale = 1.0F;       ///< that clips it: min(1, clip_norm / norm)
  std::int32_t finite = 1;  ///< whether the norm is; if not, no weight is updated
};

/// A run of weights in a shard that decay, or do not; indices in the shard.
struct DecaySegment {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t decays = 0;
};

/// The buffers of one update: this rank's shards.
struct AdamWBuffers {
  const float* gradient = nullptr;
  float* first_moment = nullptr;
  float* second_moment = nullptr;
  float* weights = nullptr;
};

/// On a device everything is put into the current stream and is not done when a call returns.
class FlatMath {
 public:
  virtual ~FlatMath() = default;

  [[nodiscard]] virtual MemoryKind memory() const = 0;
  /// Zeros at a 64-byte boundary, lasting memory; freed with the last copy of the pointer.
  virtual std::shared_ptr<std::byte> allocate(std::size_t bytes) = 0;
  virtual void clear(std::span<float> values) = 0;
  virtual void copy(std::span<const std::byte> from, std::byte* to) = 0;
  /// Writes host memory, which may go when this returns.
  virtual void upload(std::span<const std::byte> from, std::byte* to) = 0;
  /// Every addition over `count` elements (a multiple of 4,096), one after the other.
  virtual void add(std::span<const Addition> additions, std::size_t count) = 0;
  /// The sum of squares of each 4,096 values: eight interleaved sums in double, then their tree.
  virtual void sum_squares(std::span<const float> values, double* sums) = 0;
  /// The norm from the sums of all chunks, added in the order of base/tree_sum.h. clip_norm <= 0
  /// clips nothing.
  virtual void finish_norm(const double* sums, std::int64_t count, double clip_norm,
                           ClipState* state) = 0;
  /// adamw_element over the segments. With `clip`, its scale takes the place of the coefficients'.
  virtual void adamw(const AdamWCoefficients* coefficients, std::span<const DecaySegment> segments,
                     const AdamWBuffers& buffers, const ClipState* clip) = 0;
};

/// Of the processor; loops on the calling thread.
FlatMath& host_flat_math();

/// On the current CUDA device, in the stream that `current_stream` gives. Throws ConfigError in a
/// program without CUDA; its functions throw CommunicationError when CUDA reports an error.
std::unique_ptr<FlatMath> make_device_flat_math(std::function<void*()> current_stream);

}  // namespace sbm::distributed
