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
                           std::span<float> weights, const AdamWOptions& options, FlatMath& math)
    : communicator_(communicator),
      layout_(layout),
      weights_(weights),
      options_(options),
      shard_(layout.shard(communicator.rank(), communicator.world_size())),
      math_(math),
      first_moment_(math.allocate(static_cast<std::size_t>(shard_.size()) * sizeof(float))),
      second_moment_(math.allocate(static_cast<std::size_t>(shard_.size()) * sizeof(float))),
      coefficients_(math.allocate(sizeof(AdamWCoefficients))) {
  check_options(options);
  if (weights.size() != static_cast<std::size_t>(layout.size())) {
    throw InternalError("AdamW: expected a flat weight buffer of " + std::to_string(layout.size()) +
                        " elements, found " + std::to_string(weights.size()));
  }
  if (communicator.memory() != math.memory()) {
    throw InternalError("AdamW updates in one kind of memory and gathers in another");
  }
  for (const FlatLayout::Entry& entry : layout.entries()) {
    const ElementRange part = {std::max(entry.range.begin, shard_.begin),
                               std::min(entry.range.end, shard_.end)};
    if (part.size() <= 0) continue;
    segments_.push_back(
        {part.begin - shard_.begin, part.end - shard_.begin, entry.spec.decay ? 1 : 0});
  }
}

void ShardedAdamW::check_shard_size(const char* what, std::size_t found) const {
  if (found == static_cast<std::size_t>(shard_.size())) return;
  throw InternalError(std::string("AdamW on rank ") + std::to_string(communicator_.rank()) + ", " +
                      what + ": expected a shard of " + std::to_string(shard_.size()) +
                      " elements, found " + std::to_string(found));
}

void ShardedAdamW::write_coefficients(double learning_rate, double gradient_scale) {
  ++steps_done_;
  const double bias1 = 1.0 - power(options_.beta1, steps_done_);
  const double bias2 = 1.0 - power(options_.beta2, steps_done_);
  const AdamWCoefficients c = {
      .gradient_scale = static_cast<float>(gradient_scale),
      .beta1 = static_cast<float>(options_.beta1),
      .one_minus_beta1 = static_cast<float>(1.0 - options_.beta1),
      .beta2 = static_cast<float>(options_.beta2),
      .one_minus_beta2 = static_cast<float>(1.0 - options_.beta2),
      .step_size = static_cast<float>(learning_rate / bias1),
      .inverse_root_of_bias2 = static_cast<float>(1.0 / std::sqrt(bias2)),
      .epsilon = static_cast<float>(options_.epsilon),
      .decayed = static_cast<float>(1.0 - learning_rate * options_.weight_decay),
  };
  math_.upload(std::as_bytes(std::span(&c, 1)), coefficients_.get());
}

void ShardedAdamW::step(std::span<const float> gradient_shard, double learning_rate,
                        double gradient_scale) {
  check_shard_size("gradient", gradient_shard.size());
  write_coefficients(learning_rate, gradient_scale);
  apply(gradient_shard, nullptr);
}

void ShardedAdamW::step(std::span<const float> gradient_shard, double learning_rate,
                        const ClipState* clip) {
  check_shard_size("gradient", gradient_shard.size());
  prepare(learning_rate);
  apply(gradient_shard, clip);
}

void ShardedAdamW::prepare(double learning_rate) { write_coefficients(learning_rate, 1.0); }

void ShardedAdamW::apply(std::span<const float> gradient_shard, const ClipState* clip) {
  check_shard_size("gradient", gradient_shard.size());
  math_.adamw(reinterpret_cast<const AdamWCoefficients*>(coefficients_.get()), segments_,
              {.gradient = gradient_shard.data(),
               .first_moment = reinterpret_cast<float*>(first_moment_.get()),
               .second_moment = reinterpret_cast<float*>(second_moment_.get()),
               .weights = weights_.data() + shard_.begin},
              clip);
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
  communicator_.all_gather(mine, std::as_writable_bytes(weights_), offsets)->wait_in_stream();
}

void ShardedAdamW::restore(std::int64_t steps_done, std::span<const float> first_moment,
                           std::span<const float> second_moment) {
  if (steps_done < 0) {
    throw InternalError("AdamW: restored after " + std::to_string(steps_done) + " steps");
  }
  check_shard_size("first moment", first_moment.size());
  check_shard_size("second moment", second_moment.size());
  steps_done_ = steps_done;
  math_.upload(std::as_bytes(first_moment), first_moment_.get());
  math_.upload(std::as_bytes(second_moment), second_moment_.get());
}

}  // namespace sbm::distributed
