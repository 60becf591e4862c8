#pragma once

#include <cstdint>
#include <vector>

namespace sbm::cuda_host {

/// One access as the race detector remembers it. Phase 0: none.
struct Access {
  std::uint32_t phase = 0;   // counts block barriers and blocks since the process began
  std::uint32_t epoch = 0;   // counts this thread's __syncwarp since the barrier
  std::uint32_t code = 0;    // return address, relative to the program
  std::uint16_t thread = 0;  // within the block
  bool atomic = false;
};

enum class Content : std::uint8_t { kUnwritten, kInFlight, kWritten };

/// What is remembered of one byte.
struct ShadowByte {
  Access write;
  // Two readers that neither precede each other: with readers of two warps any writer collides with
  // one of them, so two are enough.
  Access reads[2];
  Content content = Content::kUnwritten;
};

using Shadow = std::vector<ShadowByte>;

}  // namespace sbm::cuda_host
