#pragma once

#include <cstdint>

#include "base/philox.h"

namespace sbm::data {

/// A keyed pseudo-random permutation of [0, size): O(1) state, and O(1) time for any element. A
/// Feistel network whose round function is Philox4x32-10 permutes the next power of two; values
/// outside [0, size) are permuted again until they fall inside (cycle walking), less than twice on
/// average. A contract: the order of a run's samples follows from it.
class Permutation {
 public:
  /// `size` >= 1.
  Permutation(PhiloxKey key, std::uint64_t size);

  /// The element at `position` < size. Throws InternalError beyond.
  [[nodiscard]] std::uint64_t operator()(std::uint64_t position) const;

 private:
  [[nodiscard]] std::uint64_t network(std::uint64_t value) const;

  PhiloxKey key_;
  std::uint64_t size_;
  int low_bits_;
  int high_bits_;
};

}  // namespace sbm::data
