#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/tree_sum.h"
#include "distributed/aligned_buffer.h"
#include "distributed/flat_layout.h"
#include "distributed/flat_math.h"

namespace sbm::distributed {
namespace {

/// Every sum walks its buffers block by block, so that a block stays in the cache through all the
/// additions it takes part in.
constexpr std::size_t kBlock = FlatLayout::kChunk;

void add_block(float* to, const float* from) {
  for (std::size_t i = 0; i < kBlock; ++i) to[i] += from[i];
}

/// Eight interleaved sums: an order of its own, the same for every instruction set, that the
/// processor need not wait through one addition at a time.
double sum_of_squares(std::span<const float, FlatLayout::kChunk> chunk) {
  constexpr std::size_t kLanes = 8;
  std::array<double, kLanes> lanes{};
  for (std::size_t i = 0; i < chunk.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double x = chunk[i + lane];
      lanes[lane] += x * x;
    }
  }
  for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::size_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  }
  return lanes[0];
}

void update(std::size_t count, const AdamWCoefficients& c, float keep,
            const float* __restrict gradient, float* __restrict first, float* __restrict second,
            float* __restrict weights) {
  for (std::size_t i = 0; i < count; ++i) {
    adamw_element(c, keep, gradient[i], first[i], second[i], weights[i]);
  }
}

class HostFlatMath final : public FlatMath {
 public:
  [[nodiscard]] MemoryKind memory() const override { return MemoryKind::kHost; }

  std::shared_ptr<std::byte> allocate(std::size_t bytes) override {
    const std::size_t floats = (bytes + sizeof(float) - 1) / sizeof(float);
    const auto buffer = std::make_shared<AlignedBuffer>(floats);
    return {buffer, reinterpret_cast<std::byte*>(buffer->data())};
  }
  void clear(std::span<float> values) override { std::fill(values.begin(), values.end(), 0.0F); }
  void copy(std::span<const std::byte> from, std::byte* to) override {
    if (!from.empty()) std::memcpy(to, from.data(), from.size());
  }
  void upload(std::span<const std::byte> from, std::byte* to) override { copy(from, to); }

  void add(std::span<const Addition> additions, std::size_t count) override {
    for (std::size_t at = 0; at < count; at += kBlock) {
      for (const Addition& addition : additions) add_block(addition.to + at, addition.from + at);
    }
  }

  void sum_squares(std::span<const float> values, double* sums) override {
    for (std::size_t i = 0; i < values.size() / kBlock; ++i) {
      sums[i] = sum_of_squares(values.subspan(i * kBlock).first<kBlock>());
    }
  }

  void finish_norm(const double* sums, std::int64_t count, double clip_norm,
                   ClipState* state) override {
    const double norm =
        count == 0 ? 0.0 : std::sqrt(tree_sum(0, count, [&](std::int64_t i) { return sums[i]; }));
    state->norm = norm;
    state->scale =
        clip_norm > 0.0 && norm > clip_norm ? static_cast<float>(clip_norm / norm) : 1.0F;
    state->finite = std::isfinite(norm) ? 1 : 0;
  }

  void adamw(const AdamWCoefficients* coefficients, std::span<const DecaySegment> segments,
             const AdamWBuffers& buffers, const ClipState* clip) override {
    AdamWCoefficients c = *coefficients;
    if (clip != nullptr) {
      if (clip->finite == 0) return;
      c.gradient_scale = clip->scale;
    }
    for (const DecaySegment& segment : segments) {
      const std::int64_t at = segment.begin;
      update(static_cast<std::size_t>(segment.end - at), c, segment.decays != 0 ? c.decayed : 1.0F,
             buffers.gradient + at, buffers.first_moment + at, buffers.second_moment + at,
             buffers.weights + at);
    }
  }
};

}  // namespace

FlatMath& host_flat_math() {
  static HostFlatMath math;
  return math;
}

}  // namespace sbm::distributed
