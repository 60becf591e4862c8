#pragma once

#include <cstdint>

#include "kernels/cuda/attention_dropout.cuh"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/dropout.h"

// Dropout of features. Thread mapping: one thread the eight features that share a Philox call, in
// a loop over the grid. No shared memory. Bound: reading the input and writing the output once.
namespace sbm::kernels::cuda {

inline constexpr int kDropoutThreads = 256;
inline constexpr int kDropoutFeatures = 8;

/// What a thread loads at once.
template <class Element>
struct alignas(16) DropoutChunk {
  static constexpr int kElements = 16 / static_cast<int>(sizeof(Element));
  Element elements[kElements];
};

__device__ __forceinline__ float drop(float value, std::uint32_t half, const DropoutRule& rule) {
  return half < rule.threshold ? 0.0F : value * rule.scale;
}

__device__ __forceinline__ __nv_bfloat16 drop(__nv_bfloat16 value, std::uint32_t half,
                                              const DropoutRule& rule) {
  return __float2bfloat16(drop(__bfloat162float(value), half, rule));
}

/// kWhole: rows start at multiples of 16 bytes and hold whole groups of eight features.
template <class Element, bool kWhole>
__global__ void __launch_bounds__(kDropoutThreads)
    dropout_kernel(const DropoutParams call, const DropoutRule rule) {
  const auto* const input = static_cast<const Element*>(call.input);
  auto* const output = static_cast<Element*>(call.output);
  const std::int64_t groups = (call.features + kDropoutFeatures - 1) / kDropoutFeatures;
  const std::int64_t all = call.samples * call.tokens * groups;
  const std::int64_t step = std::int64_t{gridDim.x} * kDropoutThreads;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kDropoutThreads + threadIdx.x; i < all;
       i += step) {
    const std::int64_t row = i / groups;
    const std::int64_t group = i % groups;
    const PhiloxBlock block =
        dropout_block(call.keys[row / call.tokens], static_cast<std::uint32_t>(row % call.tokens),
                      static_cast<std::uint32_t>(group));
    const std::int64_t first = row * call.features + group * kDropoutFeatures;
    if constexpr (kWhole) {
      using Chunk = DropoutChunk<Element>;
#pragma unroll
      for (int start = 0; start < kDropoutFeatures; start += Chunk::kElements) {
        Chunk chunk = *reinterpret_cast<const Chunk*>(input + first + start);
#pragma unroll
        for (int j = 0; j < Chunk::kElements; ++j) {
          const int feature = start + j;
          const std::uint32_t half = block[feature / 2] >> 16 * (feature & 1) & 0xFFFF;
          chunk.elements[j] = drop(chunk.elements[j], half, rule);
        }
        *reinterpret_cast<Chunk*>(output + first + start) = chunk;
      }
    } else {
      const std::int64_t left = call.features - group * kDropoutFeatures;
#pragma unroll
      for (int feature = 0; feature < kDropoutFeatures; ++feature) {
        const std::uint32_t half = block[feature / 2] >> 16 * (feature & 1) & 0xFFFF;
        if (feature < left) output[first + feature] = drop(input[first + feature], half, rule);
      }
    }
  }
}

}  // namespace sbm::kernels::cuda
