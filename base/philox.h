#pragma once

#include <array>
#include <cstdint>

#include "base/host_device.h"

namespace sbm {

/// One 128-bit block: a counter going in, random words coming out.
using PhiloxBlock = std::array<std::uint32_t, 4>;

/// A 64-bit Philox key: the identity of one random stream.
using PhiloxKey = std::uint64_t;

/// Philox4x32 with `Rounds` rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
/// SC 2011): a keyed bijection of the counter whose output passes for random. The low word of `key`
/// is the paper's k0. Pure and integer, so every device gives the same words.
template <int Rounds>
[[nodiscard]] SBM_HOST_DEVICE constexpr PhiloxBlock philox4x32(PhiloxBlock counter, PhiloxKey key) {
  constexpr std::uint64_t kMultiplier0 = 0xD2511F53;
  constexpr std::uint64_t kMultiplier1 = 0xCD9E8D57;
  constexpr std::uint32_t kWeyl0 = 0x9E3779B9;
  constexpr std::uint32_t kWeyl1 = 0xBB67AE85;
  auto key0 = static_cast<std::uint32_t>(key);
  auto key1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < Rounds; ++round) {
    const std::uint64_t product0 = kMultiplier0 * counter[0];
    const std::uint64_t product1 = kMultiplier1 * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key0,
               static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key1,
               static_cast<std::uint32_t>(product0)};
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  return counter;
}

}  // namespace sbm
