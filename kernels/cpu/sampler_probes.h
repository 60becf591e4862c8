#pragma once

#include <cstdint>

#include "base/philox.h"
#include "kernels/edge_list.h"
#include "kernels/sampler_operands.h"
#include "kernels/sampling.h"

// What TRAPEZOID wants to know of a graph beside its edges: with which probability they were drawn,
// and probed cells that are none (docs/sampler.md, section 9).
namespace sbm::kernels::cpu {

/// A row whose edges are drawn.
struct ProbedRow {
  MaskLaw law = MaskLaw::kBernoulli;
  std::uint32_t exploration = 0;  ///< in units of 2^-32
  PhiloxKey probe_key = 0;
  double probe_rate = 0.0;
  std::uint32_t number = 0;
  std::int64_t excluded_key = -1;  ///< never probed: the diagonal unless SelfLoops::kNone
  /// Filled up with zeros to keys.stride, as the keys; both aligned to vectors.
  WeightRow weights;
};

/// Appends the probabilities of the edges from `first_edge` on, and the row's probes. Time
/// O(clusters) an edge and a probe. Throws std::bad_alloc.
void append_probes(const ProbedRow& row, const QuantizedKeys& keys, std::int64_t first_edge,
                   EdgeList& list);

}  // namespace sbm::kernels::cpu
