#include <cuda_runtime_api.h>

#include <algorithm>
#include <source_location>
#include <utility>

#include "base/error.h"
#include "distributed/error_check_cuda.h"
#include "distributed/flat_layout.h"
#include "distributed/flat_math.h"
#include "distributed/flat_math_kernels.h"
#include "distributed/lasting_memory.h"

namespace sbm::distributed {
namespace {

static_assert(kChunkValues == FlatLayout::kChunk);

/// Of a launch, whose code the kernels' floor of headers carries as a number.
void check_launch(int code, const char* kernel,
                  std::source_location where = std::source_location::current()) {
  check_cuda(static_cast<cudaError_t>(code), kernel, where);
}

class CudaFlatMath final : public FlatMath {
 public:
  explicit CudaFlatMath(std::function<void*()> current_stream)
      : current_stream_(std::move(current_stream)) {}

  [[nodiscard]] MemoryKind memory() const override { return MemoryKind::kDevice; }

  std::shared_ptr<std::byte> allocate(std::size_t bytes) override {
    void* memory = nullptr;
    const std::size_t some = std::max<std::size_t>(bytes, 1);
    check_cuda(cudaMalloc(&memory, some), "cudaMalloc");
    check_cuda(cudaMemset(memory, 0, some), "cudaMemset");
    // Freeing waits for the device; after a failure of the group that would be for ever.
    return {static_cast<std::byte*>(memory), [](std::byte* own) {
              if (!lasting_memory_is_kept.load()) cudaFree(own);
            }};
  }
  void clear(std::span<float> values) override {
    check_cuda(cudaMemsetAsync(values.data(), 0, values.size_bytes(), stream()), "cudaMemsetAsync");
  }
  void copy(std::span<const std::byte> from, std::byte* to) override {
    check_cuda(cudaMemcpyAsync(to, from.data(), from.size(), cudaMemcpyDeviceToDevice, stream()),
               "cudaMemcpyAsync");
  }
  void upload(std::span<const std::byte> from, std::byte* to) override {
    // From memory that is not pinned: CUDA takes a copy before it returns.
    check_cuda(cudaMemcpyAsync(to, from.data(), from.size(), cudaMemcpyHostToDevice, stream()),
               "cudaMemcpyAsync");
  }

  void add(std::span<const Addition> additions, std::size_t count) override {
    for (std::size_t at = 0; count > 0 && at < additions.size(); at += kMostAdditions) {
      AdditionList list{};
      const auto part =
          additions.subspan(at, std::min<std::size_t>(kMostAdditions, additions.size() - at));
      std::copy(part.begin(), part.end(), list.additions);
      list.used = static_cast<int>(part.size());
      check_launch(launch_add(list, static_cast<std::int64_t>(count), stream()), "add_kernel");
    }
  }
  void sum_squares(std::span<const float> values, double* sums) override {
    const auto chunks = static_cast<std::int64_t>(values.size()) / FlatLayout::kChunk;
    if (chunks == 0) return;
    check_launch(launch_sum_squares(values.data(), chunks, sums, stream()), "sum_squares_kernel");
  }
  void finish_norm(const double* sums, std::int64_t count, double clip_norm,
                   ClipState* state) override {
    check_launch(launch_finish_norm(sums, count, clip_norm, state, stream()), "finish_norm_kernel");
  }
  void adamw(const AdamWCoefficients* coefficients, std::span<const DecaySegment> segments,
             const AdamWBuffers& buffers, const ClipState* clip) override {
    for (std::size_t at = 0; at < segments.size(); at += kMostSegments) {
      SegmentList list{};
      const auto part =
          segments.subspan(at, std::min<std::size_t>(kMostSegments, segments.size() - at));
      std::copy(part.begin(), part.end(), list.segments);
      list.used = static_cast<int>(part.size());
      check_launch(launch_adamw(coefficients, list, buffers, clip, stream()), "adamw_kernel");
    }
  }

 private:
  cudaStream_t stream() { return static_cast<cudaStream_t>(current_stream_()); }

  std::function<void*()> current_stream_;
};

}  // namespace

std::unique_ptr<FlatMath> make_device_flat_math(std::function<void*()> current_stream) {
  if (!current_stream) throw InternalError("no current stream for the arithmetic");
  return std::make_unique<CudaFlatMath>(std::move(current_stream));
}

}  // namespace sbm::distributed
