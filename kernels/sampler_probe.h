#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "base/philox.h"
#include "kernels/sampler_counters.h"
#include "kernels/sampler_fixed_point.h"

namespace sbm::kernels {

/// The probed columns of a row among [0, keys), ascending (docs/sampler.md, section 9): each with
/// probability round(rate 2^32) / 2^32, by geometric skips in time linear in their number. Padding
/// and the diagonal are the caller's to leave out.
[[nodiscard]] inline std::vector<std::int32_t> probed_columns(PhiloxKey stream, std::uint32_t row,
                                                              std::int64_t keys, double rate) {
  std::vector<std::int32_t> columns;
  const auto units = static_cast<std::uint64_t>(std::nearbyint(rate * 4294967296.0));
  if (units == 0) return columns;
  const bool every_cell = units == std::uint64_t{1} << 32;
  const std::uint64_t hazard =
      every_cell ? 0 : negative_log(((std::uint64_t{1} << 32) - units) << 32);
  std::int64_t key = -1;
  for (std::uint32_t skip = 0;; ++skip) {
    ++key;
    if (!every_cell) {
      const PhiloxBlock block =
          philox4x32<kSamplerPhiloxRounds>({row, skip / 2, 0, kProbeTag}, stream);
      const std::uint64_t uniform = wide_word(block, static_cast<int>(skip & 1));
      const std::uint64_t gap = negative_log(uniform == 0 ? 1 : uniform) / hazard;
      if (gap >= static_cast<std::uint64_t>(keys - key)) return columns;
      key += static_cast<std::int64_t>(gap);
    }
    if (key >= keys) return columns;
    columns.push_back(static_cast<std::int32_t>(key));
  }
}

}  // namespace sbm::kernels
