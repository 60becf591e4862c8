#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "distributed/communicator.h"
#include "distributed/flat_layout.h"
#include "distributed/flat_math.h"
#include "distributed/gradient_norm.h"  // IWYU pragma: export

namespace sbm::distributed {

/// Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2.
struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-6;
  double weight_decay = 0.0;  ///< only where ParameterSpec::decay
};

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
  /// `weights`: layout.size() floats, equal on all ranks; they are updated in place. They, the
  /// moments and gradients lie in the memory of `math`, which is the communicator's kind. All given
  /// outlive the optimiser. Throws ConfigError unless the betas lie in [0, 1),
  /// epsilon > 0 and weight_decay >= 0; InternalError on a wrong size or kind of memory.
  ShardedAdamW(Communicator& communicator, const FlatLayout& layout, std::span<float> weights,
               const AdamWOptions& options, FlatMath& math = host_flat_math());

  /// One update with gradient * gradient_scale (the clip factor); then the all-gather. Collective.
  /// Throws InternalError when the gradient is not the size of this rank's shard.
  void step(std::span<const float> gradient_shard, double learning_rate, double gradient_scale);
  /// The same with the clip factor of GradientClip, no update when its norm is not finite, and no
  /// wait of the host on a device: prepare() and apply().
  void step(std::span<const float> gradient_shard, double learning_rate, const ClipState* clip);
  /// The two halves of a step, for one that is captured into a graph: prepare() counts the step and
  /// writes its coefficients into memory of the math; apply(), which reads them there, is the same
  /// work every time.
  void prepare(double learning_rate);
  void apply(std::span<const float> gradient_shard, const ClipState* clip);

  [[nodiscard]] std::int64_t steps_done() const { return steps_done_; }
  /// This rank's shard, in the memory of the math.
  [[nodiscard]] std::span<const float> first_moment() const { return moment(first_moment_); }
  [[nodiscard]] std::span<const float> second_moment() const { return moment(second_moment_); }
  /// Puts loaded state in place; the spans are this rank's shard, in host memory. Throws
  /// InternalError on another size.
  void restore(std::int64_t steps_done, std::span<const float> first_moment,
               std::span<const float> second_moment);

 private:
  [[nodiscard]] std::span<const float> moment(const std::shared_ptr<std::byte>& memory) const {
    return {reinterpret_cast<const float*>(memory.get()), static_cast<std::size_t>(shard_.size())};
  }
  void write_coefficients(double learning_rate, double gradient_scale);
  void check_shard_size(const char* what, std::size_t found) const;
  void gather_weights();

  Communicator& communicator_;
  const FlatLayout& layout_;
  std::span<float> weights_;
  AdamWOptions options_;
  ElementRange shard_;
  FlatMath& math_;
  std::vector<DecaySegment> segments_;  ///< parts of parameters that lie in the shard
  std::shared_ptr<std::byte> first_moment_;
  std::shared_ptr<std::byte> second_moment_;
  std::shared_ptr<std::byte> coefficients_;
  std::int64_t steps_done_ = 0;
};

}  // namespace sbm::distributed
