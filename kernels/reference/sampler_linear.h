#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/philox.h"
#include "kernels/sampler_operands.h"
#include "kernels/sampling.h"

namespace sbm::kernels::reference {

/// The linear branch of one graph, straight from docs/sampler.md, sections 7 and 8, under the names
/// of that page and without any care for speed. It shares nothing with the faster samplers but the
/// operands and the table of logarithms, so that comparing them finds the errors of either.
class LinearBranch {
 public:
  /// `exploration` in units of 2^-32. Copies what it needs of the keys.
  LinearBranch(const QuantizedKeys& keys, MaskLaw law, std::uint32_t exploration);

  /// V.
  [[nodiscard]] std::int64_t valid_keys() const;
  /// Whether the row takes this branch.
  [[nodiscard]] bool takes(const WeightRow& row) const;
  /// The keys of the edges that row i, which must take this branch, draws from the stream of
  /// `mask_key`; ascending. threshold(j) is T_ij, and 0 on a cell that is never drawn.
  [[nodiscard]] std::vector<std::int64_t> draw(
      const WeightRow& row, std::uint32_t i, PhiloxKey mask_key,
      const std::function<std::uint32_t(std::int64_t)>& threshold) const;

 private:
  /// The numbers under "Per row".
  struct Row {
    bool linear = false;
    int f = 0;
    std::uint64_t a = 0;
    std::uint64_t v = 0;
  };
  [[nodiscard]] Row plan(const WeightRow& row) const;
  [[nodiscard]] std::int64_t cluster_key(const WeightRow& row, std::uint64_t position) const;

  MaskLaw law_;
  std::uint64_t d_;                  ///< D
  std::vector<std::int64_t> valid_;  ///< the valid keys, ascending
  int ek_min_ = 31;                  ///< over the valid keys
  int sh_ = 0;
  std::vector<std::vector<std::uint64_t>> g_;  ///< [clusters][keys], 0 for padding
  std::vector<std::uint64_t> total_;           ///< G [clusters]
  std::vector<std::uint64_t> largest_;         ///< M [clusters]
};

}  // namespace sbm::kernels::reference
