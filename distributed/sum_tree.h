#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "distributed/partition.h"

// The tree of base/tree_sum.h cut into the runs of the ranks (design, section 3.2). Each rank sums
// the subtrees that lie wholly within its run; what is left of the tree is the same few additions
// for everyone, whoever does them.
namespace sbm::distributed {

/// Micro-batches [first, last) of a global batch of M, the run of one rank. Contiguous, as even as
/// possible, lower ranks first. Throws ConfigError when world_size > micro_batches.
ElementRange micro_batch_run(int rank, int world_size, std::int64_t micro_batches);

/// The maximal subtrees of the sum tree over [0, leaves) that lie within `run`, in order: the
/// partial sums a rank holds after its run (see base/tree_sum.h).
std::vector<ElementRange> maximal_subtrees(std::int64_t leaves, ElementRange run);

/// partials[to] += partials[from].
struct Merge {
  std::size_t to = 0;
  std::size_t from = 0;
};

/// The additions, in order, that turn the partial sums over `partials` (subtrees of `node`, in
/// order, covering it) into the sum over `node`, which ends in partial 0. Throws InternalError when
/// they are not such subtrees.
std::vector<Merge> merge_order(ElementRange node, std::span<const ElementRange> partials);

/// For each leaf of `run`, in order, how many subtrees of the tree over [0, leaves) within the run
/// it completes: so many times the top of a stack of sums is added to the sum below it.
std::vector<std::int64_t> merges_after_leaves(std::int64_t leaves, ElementRange run);

}  // namespace sbm::distributed
