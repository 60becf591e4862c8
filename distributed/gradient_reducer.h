#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "distributed/communicator.h"
#include "distributed/flat_layout.h"

namespace sbm::distributed {

/// Micro-batches [first, last) of a global batch of M, the run of one rank. Contiguous, as even as
/// possible, lower ranks first. Throws ConfigError when world_size > micro_batches.
ElementRange micro_batch_run(int rank, int world_size, std::int64_t micro_batches);

/// The maximal subtrees of the sum tree over [0, micro_batches) that lie within `run`, in order:
/// the partial sums a rank holds after its run (see base/tree_sum.h).
std::vector<ElementRange> maximal_subtrees(std::int64_t micro_batches, ElementRange run);

/// Sums the micro-batches' gradients in the order of the tree over all M of them, whoever computed
/// which: one 64-byte aligned leaf buffer that gradients are views of, a stack of finished
/// subtrees, then an all-to-all of shards and the rest of the tree at each shard's owner. Every
/// world size gives the same bits.
class GradientReducer {
 public:
  GradientReducer(Communicator& communicator, const FlatLayout& layout, std::int64_t micro_batches);
  ~GradientReducer();
  GradientReducer(const GradientReducer&) = delete;
  GradientReducer& operator=(const GradientReducer&) = delete;

  [[nodiscard]] ElementRange run() const;
  /// The leaf: the same memory every time, layout.size() floats. Gradients accumulate into it.
  [[nodiscard]] std::span<float> leaf();
  /// Clears the leaf; call before each micro-batch's backward.
  void begin_micro_batch();
  /// Takes the leaf into the tree; call run().size() times a step, in order.
  void end_micro_batch();
  /// The finished sum of this rank's shard (layout.shard); valid until the next begin_micro_batch.
  std::span<const float> reduce();
  /// Bytes of leaf, stack and exchange buffers, for the memory report.
  [[nodiscard]] std::int64_t bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Sum over all micro-batches of small per-micro-batch vectors of doubles (losses, metrics), in the
/// order of the tree over `count` leaves. `mine` holds the `width` values of each leaf of this
/// rank's contiguous run, in order; runs are those of micro_batch_run, except that here a rank may
/// have none (count < world_size). The result, width values, is equal on every rank and world size.
std::vector<double> tree_all_reduce(Communicator& communicator, std::int64_t count,
                                    std::int64_t width, std::span<const double> mine);

}  // namespace sbm::distributed
