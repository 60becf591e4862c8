#pragma once

#include <cstdint>
#include <span>

// What the quantised memberships and S become: the two factors of every accumulator
// (docs/sampler.md, sections 3 and 4).
namespace sbm::kernels {

/// The quantised keys of one graph, as the sampler sees them.
struct QuantizedKeys {
  std::int64_t clusters = 0;
  std::int64_t stride = 0;  ///< distance of two keys in `entries`, at least clusters
  std::span<const std::uint8_t> exponents;  ///< [keys]
  const std::uint16_t* entries = nullptr;   ///< [keys, stride]
  const std::uint8_t* valid = nullptr;      ///< [keys], 0 = padding; null: all valid

  [[nodiscard]] std::int64_t count() const { return std::ssize(exponents); }
  [[nodiscard]] bool is_valid(std::int64_t key) const {
    return valid == nullptr || valid[key] != 0;
  }
  [[nodiscard]] const std::uint16_t* row(std::int64_t key) const { return entries + key * stride; }
};

/// One row of W with its exponent R (quantize_weights).
struct WeightRow {
  const std::uint16_t* weights = nullptr;  ///< [clusters]
  std::int32_t exponent = 0;
};

/// Sum over the clusters of W_ic K_jc; no order of summation can change it.
[[nodiscard]] inline std::uint32_t accumulate(const std::uint16_t* weights,
                                              const std::uint16_t* key, std::int64_t clusters) {
  std::uint32_t sum = 0;
  for (std::int64_t c = 0; c < clusters; ++c) sum += std::uint32_t{weights[c]} * key[c];
  return sum;
}

}  // namespace sbm::kernels
