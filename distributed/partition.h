#pragma once

#include <cstdint>

namespace sbm::distributed {

/// Indices of a range, half open.
struct ElementRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  [[nodiscard]] std::int64_t size() const { return end - begin; }
  bool operator==(const ElementRange&) const = default;
};

/// The contiguous run of [0, count) that `part` of `parts` owns: as even as possible, the lower
/// parts get the odd ones. Throws InternalError unless 0 <= part < parts and count >= 0.
ElementRange even_part(std::int64_t count, int part, int parts);

}  // namespace sbm::distributed
