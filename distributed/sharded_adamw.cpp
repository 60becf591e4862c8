#include "distributed/sharded_adamw.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"

namespace sbm::distributed {
namespace {

/// base^exponent by squaring: std::pow may differ in the last bit from one machine's library to
/// another's.
double power(double base, std::int64_t exponent) {
  double result = 1.0;
  for (; exponent > 0; exponent /= 2) {
    if (exponent % 2 == 1) result *= base;
    base *= base;
  }
  return result;
}

/// The coefficients of one update, each rounded to fp32 once.
struct Coefficients {
  float gradient_scale;
  float beta1, one_minus_beta1;
  float beta2, one_minus_beta2;
  float step_size;              ///< learning rate / (1 - beta1^t)
  float inverse_root_of_bias2;  ///< 1 / sqrt(1 - beta2^t)
  float epsilon;
};

void update(std::size_t count, const Coefficients& c, float keep, const float* __restrict gradient,
            float* __restrict first, float* __restrict second, float* __restrict weights) {
  for (std::size_t i = 0; i < count; ++i) {
    const float g = gradient[i] * c.gradient_scale;
    const float m = c.beta1 * first[i] + c.one_minus_beta1 * g;
    const float v = c.beta2 * second[i] + c.one_minus_beta2 * (g * g);
    first[i] = m;
    second[i] = v;
    const float denominator = std::sqrt(v) * c.inverse_root_of_bias2 + c.epsilon;
    weights[i] = weights[i] * keep - c.step_size * (m / denominator);
  }
}

void check_options(const AdamWOptions& o) {
  const auto refuse = [](const char* name, const char* expected, double found) {
    throw ConfigError(std::string("AdamW: expected ") + name + " " + expected + ", found " +
                      std::to_string(found));
  };
  // Written so that a NaN is refused too.
  if (!(o.beta1 >= 0.0 && o.beta1 < 1.0)) refuse("beta1", "in [0, 1)", o.beta1);
  if (!(o.beta2 >= 0.0 && o.beta2 < 1.0)) refuse("beta2", "in [0, 1)", o.beta2);
  if (!(o.epsilon > 0.0) || std::isinf(o.epsilon)) refuse("epsilon", "above 0", o.epsilon);
  if (!(o.weight_decay >= 0.0) || std::isinf(o.weight_decay)) {
    refuse("weight_decay", "of at least 0", o.weight_decay);
  }
}

}  // namespace

ShardedAdamW::ShardedAdamW(Communicator& communicator, const FlatLayout& layout,
                           std::span<float> weights, const AdamWOptions& options)
    : communicator_(communicator),
      layout_(layout),
      weights_(weights),
      options_(options),
      shard_(layout.shard(communicator.rank(), communicator.world_size())),
      first_moment_(static_cast<std::size_t>(shard_.size())),
      second_moment_(static_cast<std::size_t>(shard_.size())) {
  check_options(options);
  if (weights.size() != static_cast<std::size_t>(layout.size())) {
    throw InternalError("AdamW: expected a flat weight buffer of " + std::to_string(layout.size()) +
                        " elements, found " + std::to_string(weights.size()));
  }
  for (const FlatLayout::Entry& entry : layout.entries()) {
    const ElementRange part = {std::max(entry.range.begin, shard_.begin),
                               std::min(entry.range.end, shard_.end)};
    if (part.size() > 0) segments_.push_back({part, entry.spec.decay});
  }
}

void ShardedAdamW::check_shard_size(const char* what, std::size_t found) const {
  if (found == static_cast<std::size_t>(shard_.size())) return;
  throw InternalError(std::string("AdamW on rank ") + std::to_string(communicator_.rank()) + ", " +
                      what + ": expected a shard of " + std::to_string(shard_.size()) +
                      " elements, found " + std::to_string(found));
}

void ShardedAdamW::step(std::span<const float> gradient_shard, double learning_rate,
                        double gradient_scale) {
  check_shard_size("gradient", gradient_shard.size());
  ++steps_done_;
  const double bias1 = 1.0 - power(options_.beta1, steps_done_);
  const double bias2 = 1.0 - power(options_.beta2, steps_done_);
  const Coefficients c = {
      .gradient_scale = static_cast<float>(gradient_scale),
      .beta1 = static_cast<float>(options_.beta1),
      .one_minus_beta1 = static_cast<float>(1.0 - options_.beta1),
      .beta2 = static_cast<float>(options_.beta2),
      .one_minus_beta2 = static_cast<float>(1.0 - options_.beta2),
      .step_size = static_cast<float>(learning_rate / bias1),
      .inverse_root_of_bias2 = static_cast<float>(1.0 / std::sqrt(bias2)),
      .epsilon = static_cast<float>(options_.epsilon),
  };
  const auto decayed = static_cast<float>(1.0 - learning_rate * options_.weight_decay);
  for (const Segment& segment : segments_) {
    const auto in_shard = static_cast<std::size_t>(segment.range.begin - shard_.begin);
    update(static_cast<std::size_t>(segment.range.size()), c, segment.decay ? decayed : 1.0F,
           gradient_shard.data() + in_shard, first_moment_.data() + in_shard,
           second_moment_.data() + in_shard, weights_.data() + segment.range.begin);
  }
  gather_weights();
}

void ShardedAdamW::gather_weights() {
  const int ranks = communicator_.world_size();
  std::vector<std::size_t> offsets(static_cast<std::size_t>(ranks) + 1);
  for (int r = 0; r < ranks; ++r) {
    offsets[static_cast<std::size_t>(r) + 1] =
        static_cast<std::size_t>(layout_.shard(r, ranks).end) * sizeof(float);
  }
  const auto mine = std::as_bytes(weights_.subspan(static_cast<std::size_t>(shard_.begin),
                                                   static_cast<std::size_t>(shard_.size())));
  communicator_.all_gather(mine, std::as_writable_bytes(weights_), offsets)->wait();
}

void ShardedAdamW::restore(std::int64_t steps_done, std::span<const float> first_moment,
                           std::span<const float> second_moment) {
  if (steps_done < 0) {
    throw InternalError("AdamW: restored after " + std::to_string(steps_done) + " steps");
  }
  check_shard_size("first moment", first_moment.size());
  check_shard_size("second moment", second_moment.size());
  steps_done_ = steps_done;
  std::copy(first_moment.begin(), first_moment.end(), first_moment_.begin());
  std::copy(second_moment.begin(), second_moment.end(), second_moment_.begin());
}

}  // namespace sbm::distributed
