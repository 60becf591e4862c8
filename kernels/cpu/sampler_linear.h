#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/philox.h"
#include "kernels/cpu/sampler_arrivals.h"
#include "kernels/cpu/sampler_rows.h"
#include "kernels/sampler_operands.h"
#include "kernels/sampler_process.h"
#include "kernels/sampling.h"

// The linear branch of the sampler (docs/sampler.md, section 8): a Poisson process over the cells
// of a row, thinned by exact integers to the law of the first branch. Time O(clusters) a row and a
// proposal, O(clusters * keys) a graph; nothing grows as queries * keys.
namespace sbm::kernels::cpu {

/// Sums over the valid keys of a graph, from which a row's branch follows, and where a position of
/// the process lies.
class KeySums {
 public:
  /// `keys` has entries of stride entry_stride(clusters), aligned to vectors, and is kept. Throws
  /// std::bad_alloc.
  void prepare(const QuantizedKeys& keys);

  [[nodiscard]] const QuantizedKeys& keys() const { return keys_; }
  [[nodiscard]] std::int64_t valid_keys() const { return std::ssize(valid_); }
  /// The valid key of this number, counted from 0.
  [[nodiscard]] std::int32_t valid_key(std::uint64_t number) const { return valid_[number]; }
  [[nodiscard]] KeyScale scale() const {
    return {.valid_keys = static_cast<std::uint64_t>(valid_keys()),
            .least_exponent = least_exponent_,
            .scale_bits = scale_bits_};
  }
  /// A key's proposal weight in a cluster is K_jc 2^(scale_bits - (e_j - least_exponent)), rounded
  /// up.
  [[nodiscard]] ProposalScale proposal_scale(std::int64_t key) const {
    const int exponent = keys_.exponents[static_cast<std::size_t>(key)];
    return ProposalScale(scale_bits_ - (exponent - least_exponent_));
  }
  [[nodiscard]] const KeyTotals& totals() const { return totals_; }
  /// The sum of a cluster's proposal weights.
  [[nodiscard]] std::uint64_t total(std::int64_t cluster) const {
    return std::uint64_t{totals_.high.data()[cluster]} << 32 | totals_.low.data()[cluster];
  }
  /// The first key up to which a cluster's proposal weights exceed `offset`, which is below
  /// total().
  [[nodiscard]] std::int64_t find_key(std::int64_t cluster, std::uint64_t offset) const;
  /// Asks the memory for what find_key() will most likely read.
  void prefetch(std::int64_t cluster, std::uint64_t offset) const;

 private:
  /// Where weights that are spread evenly have `offset`.
  [[nodiscard]] std::int64_t likely_strip(std::int64_t cluster, std::uint64_t offset) const {
    const double share =
        static_cast<double>(offset) * strips_per_weight_[static_cast<std::size_t>(cluster)];
    return std::min(static_cast<std::int64_t>(share), strip_count_ - 1);
  }
  /// Running sums of a cluster's proposal weights before each strip, and their total.
  [[nodiscard]] const std::uint64_t* strip_sums(std::int64_t cluster) const {
    return strips_.data() + cluster * (strip_count_ + 1);
  }

  QuantizedKeys keys_;
  int least_exponent_ = 0;
  int scale_bits_ = 0;
  std::int64_t strip_count_ = 0;
  AlignedBuffer<std::uint64_t> strips_;
  KeyTotals totals_;
  std::vector<double> strips_per_weight_;  ///< [clusters]: where to look first
  std::vector<std::int32_t> valid_;        ///< the valid keys, ascending
};

/// From integers alone, so every device takes the same branch. `exploration` in units of 2^-32.
RowPlan plan_row(const WeightRow& row, const KeySums& sums, MaskLaw law, std::uint32_t exploration);

struct LinearEdge {
  std::int32_t column = 0;
  float gate = 0.0F;
};

/// The law and the stream of a linear row.
struct LinearRow {
  MaskLaw law = MaskLaw::kBernoulli;
  std::uint32_t exploration = 0;
  PhiloxKey stream = 0;
  std::uint32_t row = 0;
  std::int64_t excluded_key = -1;  ///< never drawn: the diagonal unless SelfLoops::kNone
};

/// Working memory of draw_linear_row().
struct LinearScratch {
  struct Place {
    std::int64_t cluster = 0;
    std::uint64_t offset = 0;  ///< among the cluster's proposal weights
  };
  std::vector<Arrival> arrivals;
  std::vector<Place> places;            ///< of the arrivals
  std::vector<std::int32_t> keys;       ///< that the arrivals propose
  std::vector<std::uint64_t> uniforms;  ///< that thin them
  std::vector<std::uint32_t> accumulators;
};

/// Replaces `edges` by the drawn edges of a row whose plan is linear, columns ascending. The row's
/// weights are filled up and aligned as the keys. Throws std::bad_alloc.
void draw_linear_row(const LinearRow& call, const WeightRow& row, const RowPlan& plan,
                     const KeySums& sums, LinearScratch& scratch, std::vector<LinearEdge>& edges);

}  // namespace sbm::kernels::cpu
