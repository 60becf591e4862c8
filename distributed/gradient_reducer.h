#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "distributed/communicator.h"
#include "distributed/flat_layout.h"
#include "distributed/flat_math.h"
#include "distributed/sum_tree.h"  // IWYU pragma: export

namespace sbm::distributed {

/// Sums the micro-batches' gradients in the order of the tree over all M of them, whoever computed
/// which: one 64-byte aligned leaf buffer that gradients are views of, a stack of finished
/// subtrees, then an all-to-all of shards and the rest of the tree at each shard's owner. Every
/// world size gives the same bits.
class GradientReducer {
 public:
  /// Allocates everything a step needs, in the memory of `math`, which is the communicator's kind
  /// (InternalError if not). All given outlive the reducer. On a device each call puts its work
  /// into the current stream and returns. Throws ConfigError when there are more ranks than
  /// micro-batches.
  GradientReducer(Communicator& communicator, const FlatLayout& layout, std::int64_t micro_batches,
                  FlatMath& math = host_flat_math());
  ~GradientReducer();
  GradientReducer(const GradientReducer&) = delete;
  GradientReducer& operator=(const GradientReducer&) = delete;

  [[nodiscard]] ElementRange run() const;
  /// The leaf: the same memory every time, layout.size() floats. Gradients accumulate into it.
  [[nodiscard]] std::span<float> leaf();
  /// Clears the leaf; call before each micro-batch's backward.
  void begin_micro_batch();
  /// Takes the leaf into the tree; call run().size() times a step, in order. Throws InternalError
  /// when called more often.
  void end_micro_batch();
  /// The finished sum of this rank's shard (layout.shard); valid until the next begin_micro_batch.
  /// Collective, once a step. Throws InternalError before the run is complete.
  std::span<const float> reduce();
  /// Bytes of leaf, stack and exchange buffers, for the memory report.
  [[nodiscard]] std::int64_t bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sbm::distributed
