#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/edge_list.h"
#include "kernels/reference/sampler_linear.h"
#include "kernels/sampler_operands.h"
#include "kernels/sampling.h"
#include "kernels/status.h"

namespace sbm::kernels::reference {

/// The bipartite graph of one (sample, head) as docs/sampler.md defines it, cell by cell. It holds
/// the quantised arrays, so `params` and what it points to need not outlive the constructor.
class SampledGraph {
 public:
  /// `params` must have passed check_sampling() and check_sampling_values().
  SampledGraph(const SamplingParams& params, std::int64_t batch, std::int64_t head);

  /// K and its exponents; zeros for padding.
  [[nodiscard]] QuantizedKeys keys() const;
  /// A row of W with its exponent R; zeros for padding.
  [[nodiscard]] WeightRow weight_row(std::int64_t row) const;

  /// Whether both tokens of the cell are no padding.
  [[nodiscard]] bool is_valid(std::int64_t row, std::int64_t key) const;
  /// P after quantisation, without exploration; exact.
  [[nodiscard]] double quantized_probability(std::int64_t row, std::int64_t key) const;
  /// T_ij: a cell that is drawn becomes an edge with probability T_ij / 2^32, on either branch. 0
  /// on padding; self loops do not enter.
  [[nodiscard]] std::uint32_t threshold(std::int64_t row, std::int64_t key) const;
  /// dq/dP of a drawn edge.
  [[nodiscard]] float gate(std::int64_t row, std::int64_t key) const;
  /// Whether the row takes the linear branch.
  [[nodiscard]] bool is_linear(std::int64_t row) const;

  /// The probed cells of a row, ascending: valid, not on a forced or removed diagonal, each with
  /// probability r (rounded to 2^-32) and independent of the mask.
  [[nodiscard]] std::vector<std::int32_t> probes(std::int64_t row) const;
  [[nodiscard]] EdgeList sample() const;

 private:
  [[nodiscard]] std::uint32_t probability(std::int64_t row, std::int64_t key) const;
  [[nodiscard]] bool is_drawn(std::int64_t row, std::int64_t key) const;
  /// q of a cell, as a float.
  [[nodiscard]] float drawing_probability(std::int64_t row, std::int64_t key) const;
  void add_probes(std::int64_t row, const std::vector<std::int64_t>& edges, ProbeList& list) const;
  [[nodiscard]] std::vector<std::int64_t> every_cell_row(std::int64_t row) const;
  [[nodiscard]] std::vector<std::int64_t> linear_row(std::int64_t row) const;

  std::int64_t queries_;
  std::int64_t keys_;
  std::int64_t clusters_;
  MaskLaw law_;
  SelfLoops self_loops_;
  std::uint32_t exploration_;  ///< in units of 2^-32
  double probe_rate_;
  PhiloxKey mask_key_;
  bool has_probe_key_;
  PhiloxKey probe_key_;
  std::vector<std::uint8_t> query_valid_;    ///< [queries]
  std::vector<std::uint8_t> key_valid_;      ///< [keys]
  std::vector<std::uint16_t> weights_;       ///< W [queries, clusters]
  std::vector<std::int32_t> row_exponents_;  ///< R [queries]
  std::vector<std::uint16_t> key_entries_;   ///< K [keys, clusters]
  std::vector<std::uint8_t> key_exponents_;  ///< [keys]
  LinearBranch linear_;
};

/// Draws the masks of every (sample, head), in the order [batch, heads], with nothing but plain
/// loops: the referee of every faster sampler. `graphs` has batch * heads elements.
Status sample_edges(const SamplingParams& params, std::span<EdgeList> graphs);

}  // namespace sbm::kernels::reference
