#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "distributed/communicator.h"
#include "distributed/flat_layout.h"

namespace sbm::distributed {

/// Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2.
struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-6;
  double weight_decay = 0.0;  ///< only where ParameterSpec::decay
};

/// Norm of the whole gradient from this rank's shard: squares summed in double within each 4,096
/// chunk, the chunks by the tree; equal on every rank and world size.
double gradient_norm(Communicator& communicator, const FlatLayout& layout,
                     std::span<const float> gradient_shard);

/// ZeRO-1: each rank keeps the moments of its shard, updates its shard of the flat weights, then
/// all ranks gather the weights. Elementwise, so the result equals the unsharded update bit for
/// bit.
class ShardedAdamW {
 public:
  /// `weights`: layout.size() floats, equal on all ranks; they are updated in place.
  ShardedAdamW(Communicator& communicator, const FlatLayout& layout, std::span<float> weights,
               const AdamWOptions& options);

  /// One update with gradient * gradient_scale (the clip factor); then the all-gather.
  void step(std::span<const float> gradient_shard, double learning_rate, double gradient_scale);

  [[nodiscard]] std::int64_t steps_done() const { return steps_done_; }
  [[nodiscard]] std::span<const float> first_moment() const { return first_moment_; }    ///< shard
  [[nodiscard]] std::span<const float> second_moment() const { return second_moment_; }  ///< shard
  /// Puts loaded state in place; the spans are this rank's shard.
  void restore(std::int64_t steps_done, std::span<const float> first_moment,
               std::span<const float> second_moment);

 private:
  Communicator& communicator_;
  const FlatLayout& layout_;
  std::span<float> weights_;
  AdamWOptions options_;
  ElementRange shard_;
  std::vector<float> first_moment_;
  std::vector<float> second_moment_;
  std::int64_t steps_done_ = 0;
};

}  // namespace sbm::distributed
