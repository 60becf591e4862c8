#pragma once

#include <cstdint>

#include "base/philox.h"

namespace sbm::data {

/// The words of one random stream, one after the other: word i is output i % 4 of
/// Philox4x32-10(counter i / 4).
class RandomWords {
 public:
  explicit RandomWords(PhiloxKey key) : key_(key) {}

  [[nodiscard]] std::uint32_t next32() {
    if (used_ == 4) {
      block_ = philox4x32<10>(
          {static_cast<std::uint32_t>(counter_), static_cast<std::uint32_t>(counter_ >> 32), 0, 0},
          key_);
      ++counter_;
      used_ = 0;
    }
    return block_[used_++];
  }

  /// Uniform in [0, limit), limit > 0, by the high half of a product: the bias is below
  /// limit / 2^64.
  [[nodiscard]] std::uint32_t below(std::uint32_t limit) {
    const std::uint64_t high = next32();
    const std::uint64_t random = (high << 32) | next32();
    // The high word of random * limit, without 128-bit arithmetic.
    const std::uint64_t carry = ((random & 0xFFFFFFFFU) * limit) >> 32;
    return static_cast<std::uint32_t>(((random >> 32) * limit + carry) >> 32);
  }

 private:
  PhiloxKey key_;
  std::uint64_t counter_ = 0;
  PhiloxBlock block_{};
  unsigned used_ = 4;
};

}  // namespace sbm::data
