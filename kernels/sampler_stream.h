#pragma once

#include <cstdint>

#include "base/host_device.h"
#include "base/philox.h"
#include "kernels/sampler_counters.h"

// Philox4x32-7 on the counters (row, call, 0, kHighBitsTag) of the first branch, cut into what
// depends on the row, on the call, and on both: two of the seven rounds and half of a third are
// shared.
namespace sbm::kernels {

inline constexpr std::uint64_t kPhiloxMultiplier0 = 0xD2511F53;
inline constexpr std::uint64_t kPhiloxMultiplier1 = 0xCD9E8D57;
static_assert(kSamplerPhiloxRounds == 7 && kHighBitsTag == 0);

/// The round keys of a stream.
struct RoundKeys {
  std::uint32_t low[kSamplerPhiloxRounds];
  std::uint32_t high[kSamplerPhiloxRounds];

  SBM_HOST_DEVICE explicit constexpr RoundKeys(PhiloxKey stream) : low{}, high{} {
    constexpr std::uint32_t kWeyl0 = 0x9E3779B9;
    constexpr std::uint32_t kWeyl1 = 0xBB67AE85;
    low[0] = static_cast<std::uint32_t>(stream);
    high[0] = static_cast<std::uint32_t>(stream >> 32);
    for (int round = 1; round < kSamplerPhiloxRounds; ++round) {
      low[round] = low[round - 1] + kWeyl0;
      high[round] = high[round - 1] + kWeyl1;
    }
  }
};

/// What the second round makes of the call: its high and low words enter the counter's last two.
[[nodiscard]] SBM_HOST_DEVICE constexpr std::uint64_t call_product(PhiloxKey stream,
                                                                   std::uint32_t call) {
  return kPhiloxMultiplier0 * (call ^ static_cast<std::uint32_t>(stream));
}

/// What the first three rounds make of the row. With `call` = call_product(), the third round
/// starts from the words (unused, unused, (call >> 32) ^ word2, call) and ends in
///   word 0 = high(M1 * that word 2) ^ word0, word 1 = low(M1 * that word 2),
///   word 2 = (call, low half) ^ word2_after, word 3 = word3_after.
struct RowStream {
  std::uint32_t word2 = 0;
  std::uint32_t word0_after = 0;
  std::uint32_t word2_after = 0;
  std::uint32_t word3_after = 0;

  RowStream() = default;
  SBM_HOST_DEVICE constexpr RowStream(const RoundKeys& keys, std::uint32_t row) {
    const auto high = [](std::uint64_t product) {
      return static_cast<std::uint32_t>(product >> 32);
    };
    const std::uint64_t first = kPhiloxMultiplier0 * row;
    const std::uint64_t second = kPhiloxMultiplier1 * (high(first) ^ keys.high[0]);
    const std::uint64_t third = kPhiloxMultiplier0 * (high(second) ^ keys.low[1]);
    word2 = static_cast<std::uint32_t>(first) ^ keys.high[1];
    word0_after = static_cast<std::uint32_t>(second) ^ keys.low[2];
    word2_after = high(third) ^ keys.high[2];
    word3_after = static_cast<std::uint32_t>(third);
  }
};

/// The block of counter (row, call, 0, kHighBitsTag), `call` being call_product() of the call.
[[nodiscard]] SBM_HOST_DEVICE constexpr PhiloxBlock stream_block(const RoundKeys& keys,
                                                                 const RowStream& row,
                                                                 std::uint64_t call) {
  const std::uint64_t third =
      kPhiloxMultiplier1 * (static_cast<std::uint32_t>(call >> 32) ^ row.word2);
  std::uint32_t word0 = static_cast<std::uint32_t>(third >> 32) ^ row.word0_after;
  std::uint32_t word1 = static_cast<std::uint32_t>(third);
  std::uint32_t word2 = static_cast<std::uint32_t>(call) ^ row.word2_after;
  std::uint32_t word3 = row.word3_after;
  for (int round = 3; round < kSamplerPhiloxRounds; ++round) {
    const std::uint64_t product0 = kPhiloxMultiplier0 * word0;
    const std::uint64_t product1 = kPhiloxMultiplier1 * word2;
    word0 = static_cast<std::uint32_t>(product1 >> 32) ^ word1 ^ keys.low[round];
    word1 = static_cast<std::uint32_t>(product1);
    word2 = static_cast<std::uint32_t>(product0 >> 32) ^ word3 ^ keys.high[round];
    word3 = static_cast<std::uint32_t>(product0);
  }
  return {word0, word1, word2, word3};
}

}  // namespace sbm::kernels
