#pragma once

#include <cstdint>
#include <vector>

namespace sbm::kernels {

/// Cells that TRAPEZOID looks at because they are no edges: the probed ones (docs/sampler.md,
/// section 9), in compressed sparse rows.
struct ProbeList {
  std::vector<std::int64_t> row_offsets;  ///< [queries + 1]; empty: nothing was probed
  std::vector<std::int32_t> columns;      ///< ascending within a row; never the key of an edge
  std::vector<float> gates;               ///< dq/dP of each probe; empty: 1
  std::vector<float> probabilities;       ///< q of each probe
};

/// The sampled graph of one (sample, head) in compressed sparse rows. Memory follows the edges.
struct EdgeList {
  /// [queries + 1]; the edges of row i are [row_offsets[i], row_offsets[i + 1]).
  std::vector<std::int64_t> row_offsets;
  /// The key of each edge, ascending within a row.
  std::vector<std::int32_t> columns;
  /// dq/dP of each edge: what its drawn probability passes on to P. 1 under BERNOULLI, 1 - q under
  /// POISSON, 0 on a forced diagonal cell and where P + exploration >= 1. Empty: 1 on every edge
  /// except a forced diagonal one, where it is 0.
  std::vector<float> gates;
  /// q of each edge, the probability with which its cell was drawn; of no use on a forced diagonal
  /// edge. Kept when probes are asked for, else empty.
  std::vector<float> probabilities;
  ProbeList probes;
  /// Whether the diagonal was forced (SelfLoops::kAdd): such edges are in `columns` too.
  bool diagonal_forced = false;

  std::int64_t drawn_edges = 0;   ///< edges that were drawn: forced diagonal ones not counted
  std::int64_t forced_edges = 0;  ///< forced diagonal edges (valid cells of the diagonal)
  std::int64_t valid_cells = 0;   ///< valid queries x valid keys
};

}  // namespace sbm::kernels
