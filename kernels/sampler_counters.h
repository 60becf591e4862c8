#pragma once

#include <cstdint>

#include "base/host_device.h"
#include "base/philox.h"

// Which cell uses which random bits (docs/sampler.md, section 6). The last word of a Philox counter
// tells the uses of one key apart, so no call serves two purposes.
namespace sbm::kernels {

inline constexpr int kSamplerPhiloxRounds = 7;

inline constexpr std::uint32_t kHighBitsTag = 0;
inline constexpr std::uint32_t kTieTag = 1;
inline constexpr std::uint32_t kLinearTag = 2;
inline constexpr std::uint32_t kProbeTag = 3;

/// Counter word 1 of the call with the high bits of cell (row, key): 4 (key / 32) + (key / 2) mod
/// 4, so that a call holds the cells that one lane of an m16n8 fragment owns in 32 keys.
[[nodiscard]] SBM_HOST_DEVICE constexpr std::uint32_t high_bits_call(std::uint32_t key) {
  return (key >> 5) * 4 + ((key >> 1) & 3);
}

/// The 16 high bits of the uniform of cell (row, key).
[[nodiscard]] SBM_HOST_DEVICE constexpr std::uint32_t high_bits(PhiloxKey stream, std::uint32_t row,
                                                                std::uint32_t key) {
  const PhiloxBlock block =
      philox4x32<kSamplerPhiloxRounds>({row, high_bits_call(key), 0, kHighBitsTag}, stream);
  return (block[(key >> 3) & 3] >> (16 * (key & 1))) & 0xFFFF;
}

/// The 16 low bits of the uniform of cell (row, key); wanted only when the high bits tie with those
/// of the threshold.
[[nodiscard]] SBM_HOST_DEVICE constexpr std::uint32_t low_bits(PhiloxKey stream, std::uint32_t row,
                                                               std::uint32_t key) {
  return philox4x32<kSamplerPhiloxRounds>({row, key, 0, kTieTag}, stream)[0] & 0xFFFF;
}

/// Words 2 half and 2 half + 1 of a block as one 64-bit number, the first word low.
[[nodiscard]] SBM_HOST_DEVICE constexpr std::uint64_t wide_word(const PhiloxBlock& block,
                                                                int half) {
  return (static_cast<std::uint64_t>(block[2 * half + 1]) << 32) | block[2 * half];
}

}  // namespace sbm::kernels
