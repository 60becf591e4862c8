#pragma once

#include <cstddef>
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
/// chunk, the chunks by the tree; equal on every rank and world size. Not a number, or infinite,
/// when some element is. Throws InternalError when the shard has another size than layout.shard.
double gradient_norm(Communicator& communicator, const FlatLayout& layout,
                     std::span<const float> gradient_shard);

/// ZeRO-1: each rank keeps the moments of its shard, updates its shard of the flat weights, then
/// all ranks gather the weights. Elementwise, so the result equals the unsharded update bit for
/// bit. With g the scaled gradient, t the number of this update and eta the learning rate:
///   m = beta1 m + (1 - beta1) g                v = beta2 v + (1 - beta2) g^2
///   w = (1 - eta decay) w - eta / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
/// in fp32, with the coefficients computed in double and rounded once. As in most libraries the
/// decay follows the learning rate (algorithm 2 with eta_t alpha for eta). Gaps of the layout are
/// not touched.
class ShardedAdamW {
 public:
  /// `weights`: layout.size() floats, equal on all ranks; they are updated in place. Communicator,
  /// layout and weights outlive the optimiser. Throws ConfigError unless the betas lie in [0, 1),
  /// epsilon > 0 and weight_decay >= 0; InternalError on a wrong size.
  ShardedAdamW(Communicator& communicator, const FlatLayout& layout, std::span<float> weights,
               const AdamWOptions& options);

  /// One update with gradient * gradient_scale (the clip factor); then the all-gather. Collective.
  /// Throws InternalError when the gradient is not the size of this rank's shard.
  void step(std::span<const float> gradient_shard, double learning_rate, double gradient_scale);

  [[nodiscard]] std::int64_t steps_done() const { return steps_done_; }
  [[nodiscard]] std::span<const float> first_moment() const { return first_moment_; }    ///< shard
  [[nodiscard]] std::span<const float> second_moment() const { return second_moment_; }  ///< shard
  /// Puts loaded state in place; the spans are this rank's shard. Throws InternalError on another
  /// size.
  void restore(std::int64_t steps_done, std::span<const float> first_moment,
               std::span<const float> second_moment);

 private:
  /// Part of one parameter that lies in this rank's shard.
  struct Segment {
    ElementRange range;  ///< within the whole layout
    bool decay = false;
  };

  void check_shard_size(const char* what, std::size_t found) const;
  void gather_weights();

  Communicator& communicator_;
  const FlatLayout& layout_;
  std::span<float> weights_;
  AdamWOptions options_;
  ElementRange shard_;
  std::vector<Segment> segments_;
  std::vector<float> first_moment_;
  std::vector<float> second_moment_;
  std::int64_t steps_done_ = 0;
};

}  // namespace sbm::distributed
