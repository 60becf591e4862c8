#pragma once

#include <cstdint>
#include <vector>

#include "base/philox.h"
#include "kernels/cpu/sampler_rows.h"
#include "kernels/sampler_operands.h"
#include "kernels/sampling.h"

// The linear branch of the sampler (docs/sampler.md, section 8): a Poisson process over the cells
// of a row, thinned by exact integers to the law of the first branch. Time O(clusters) a row and a
// proposal, O(clusters * keys) a graph; nothing grows as queries * keys.
namespace sbm::kernels::cpu {

/// Sums over the valid keys, from which a row's branch follows. A key's proposal weight in a
/// cluster is K_jc 2^(scale_bits - (e_j - least_exponent)), rounded up.
struct KeySums {
  /// How the entries of one key become proposal weights; one of the shifts is 0.
  struct ProposalScale {
    int left = 0;
    int right = 0;

    [[nodiscard]] std::uint32_t weight(std::uint32_t entry) const {
      return ((entry << left) + ((1U << right) - 1)) >> right;
    }
  };

  std::int64_t clusters = 0;
  std::int64_t valid_keys = 0;
  int least_exponent = 0;  ///< over the valid keys
  int scale_bits = 0;
  KeyTotals totals;  ///< of the proposal weights

  [[nodiscard]] std::uint64_t total(std::size_t cluster) const {
    return std::uint64_t{totals.high[cluster]} << 32 | totals.low[cluster];
  }

  explicit KeySums(const QuantizedKeys& keys);
  [[nodiscard]] ProposalScale proposal_scale(int exponent) const;
};

/// Where a position of the process lies; built when the first row of a graph needs it.
struct KeyPrefix {
  std::vector<std::uint64_t> prefix;  ///< [clusters, keys], running sums of the proposal weights
  std::vector<std::int32_t> valid;    ///< the valid keys, ascending

  KeyPrefix(const QuantizedKeys& keys, const KeySums& sums);
};

/// Which branch a row takes, and the constants of the linear one.
struct RowPlan {
  bool linear = false;
  std::uint64_t bound = 0;           ///< of every P + exploration of the row, in units of 2^-32
  std::uint64_t expected = 0;        ///< sum over the valid keys of P + exploration, 2^-32
  int fraction_bits = 0;             ///< F: a weight w of the clusters is the rate w 2^-F
  std::uint32_t inverse_factor = 0;  ///< 2^16 / c; proposals have c times the rate of P + delta
  std::uint64_t cluster_total = 0;   ///< sum over the clusters of W_ic total_c
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

/// Replaces `edges` by the drawn edges of a row whose plan is linear, columns ascending.
void draw_linear_row(const LinearRow& call, const WeightRow& row, const RowPlan& plan,
                     const QuantizedKeys& keys, const KeySums& sums, const KeyPrefix& prefix,
                     std::vector<LinearEdge>& edges);

}  // namespace sbm::kernels::cpu
