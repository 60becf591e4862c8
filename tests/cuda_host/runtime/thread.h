#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstdint>
#include <source_location>
#include <vector>

#include "cuda_host/runtime/fiber.h"

namespace sbm::cuda_host {

inline constexpr unsigned kWarpThreads = 32;

enum class State : std::uint8_t { kReady, kAtBarrier, kAtCollective, kDone };

/// A copy that cp.async has started.
struct AsyncCopy {
  char* to = nullptr;
  const char* from = nullptr;  // nullptr: zeros
  unsigned group = 0;
};

/// One CUDA thread of the block that is running.
struct Thread {
  Fiber fiber;
  uint3 index{};
  unsigned number = 0;  // x fastest, as CUDA numbers them
  State state = State::kReady;

  // Where it waits, or waited last.
  const char* operation = nullptr;
  std::source_location where;
  unsigned mask = 0;         // of a collective
  void* argument = nullptr;  // of a collective or a barrier

  std::vector<AsyncCopy> copies;
  unsigned open_group = 0;  // the group that the next commit closes

  // The race detector's clocks: how many __syncwarp of each lane of the warp, since the last block
  // barrier, precede this moment; [own lane]: the number of its own.
  std::array<std::uint32_t, kWarpThreads> clock{};

  [[nodiscard]] unsigned lane() const { return number % kWarpThreads; }
  [[nodiscard]] unsigned warp() const { return number / kWarpThreads; }
};

}  // namespace sbm::cuda_host
