#include "tests/distributed/training_suite.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/tree_sum.h"
#include "distributed/gradient_reducer.h"
#include "distributed/sharded_adamw.h"
#include "distributed/tree_all_reduce.h"

namespace sbm::distributed {
namespace {

/// Two and a bit chunks with gaps, or five: shards of unequal length, empty ones with many ranks.
FlatLayout small_layout() {
  return FlatLayout({{"a", {50, 61}, true}, {"b", {61}, false}, {"c", {97, 53}, true}});
}
FlatLayout large_layout() {
  return FlatLayout({{"a", {101, 61}, true}, {"b", {61}, false}, {"c", {97, 137}, true}});
}

/// Elements of very different size, so that another order of summation shows.
std::vector<float> random_gradient(const FlatLayout& layout, std::uint32_t seed) {
  std::minstd_rand random(seed + 1);
  std::vector<float> values(static_cast<std::size_t>(layout.size()));
  for (const auto& entry : layout.entries()) {
    for (auto i = entry.range.begin; i < entry.range.end; ++i) {
      const auto bits = static_cast<std::uint32_t>(random() * 2654435769U);
      const float sign = (bits & 1U) != 0 ? 1.0F : -1.0F;
      const auto exponent = static_cast<int>((bits >> 1) % 12);
      values[static_cast<std::size_t>(i)] =
          sign * std::ldexp(1.0F + static_cast<float>(bits >> 8) / 16777216.0F, exponent - 6);
    }
  }
  return values;
}

struct Sum {
  std::vector<float> values;
  Sum operator+(const Sum& other) const {
    Sum result = *this;
    for (std::size_t i = 0; i < values.size(); ++i) result.values[i] += other.values[i];
    return result;
  }
};

template <typename T>
bool same_bits(std::span<const T> a, std::span<const T> b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

std::vector<float> values_of(const Place& place, std::span<const float> memory) {
  std::vector<float> values(memory.size());
  place.memory.read(std::as_writable_bytes(std::span(values)), std::as_bytes(memory).data());
  return values;
}

std::span<const float> shard_of(const std::vector<float>& values, const FlatLayout& layout,
                                const Communicator& communicator) {
  const ElementRange shard = layout.shard(communicator.rank(), communicator.world_size());
  return std::span(values).subspan(static_cast<std::size_t>(shard.begin),
                                   static_cast<std::size_t>(shard.size()));
}

}  // namespace

void expect_gradient_tree(Communicator& communicator) {
  HostTestMemory memory;
  expect_gradient_tree({communicator, host_flat_math(), memory});
}

void expect_gradient_tree(const Place& place) {
  Communicator& communicator = place.communicator;
  for (const FlatLayout& layout : {small_layout(), large_layout()}) {
    for (const std::int64_t count : {1, 2, 3, 4, 5, 6, 7, 8, 11, 13, 16, 21}) {
      if (count < communicator.world_size()) continue;
      GradientReducer reducer(communicator, layout, count, place.math);
      EXPECT_EQ(reducer.run(),
                micro_batch_run(communicator.rank(), communicator.world_size(), count));
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(reducer.leaf().data()) % 64, 0U);
      const float* const leaf = reducer.leaf().data();
      for (std::int64_t step = 0; step < 2; ++step) {
        const auto seed = [&](std::int64_t micro_batch) {
          return static_cast<std::uint32_t>(1000 * count + 100 * step + micro_batch);
        };
        for (auto i = reducer.run().begin; i < reducer.run().end; ++i) {
          reducer.begin_micro_batch();
          // As autograd does: it accumulates into what must be zero.
          std::vector<float> gradient = values_of(place, reducer.leaf());
          const auto terms = random_gradient(layout, seed(i));
          for (std::size_t j = 0; j < gradient.size(); ++j) gradient[j] += terms[j];
          place.memory.write(std::as_writable_bytes(reducer.leaf()).data(),
                             std::as_bytes(std::span(gradient)));
          reducer.end_micro_batch();
        }
        const auto found = values_of(place, reducer.reduce());
        const Sum expected = tree_sum(
            0, count, [&](std::int64_t i) { return Sum{random_gradient(layout, seed(i))}; });
        EXPECT_TRUE(same_bits<float>(found, shard_of(expected.values, layout, communicator)))
            << count << " micro-batches, step " << step;
        EXPECT_EQ(reducer.leaf().data(), leaf);
      }
    }
  }
}

void expect_tree_all_reduce(Communicator& communicator) {
  for (std::int64_t count = 0; count <= 40; ++count) {
    for (const std::int64_t width : {1, 3}) {
      std::mt19937 random(static_cast<std::uint32_t>(count));
      std::uniform_real_distribution<double> uniform(-1.0, 1.0);
      std::vector<double> all(static_cast<std::size_t>(count * width));
      for (double& value : all) value = uniform(random);
      const ElementRange run = even_part(count, communicator.rank(), communicator.world_size());
      const auto mine = std::span(all).subspan(static_cast<std::size_t>(run.begin * width),
                                               static_cast<std::size_t>(run.size() * width));
      const auto found = tree_all_reduce(communicator, count, width, mine);
      ASSERT_EQ(found.size(), static_cast<std::size_t>(width));
      for (std::int64_t column = 0; column < width; ++column) {
        const double expected = count == 0 ? 0.0 : tree_sum(0, count, [&](std::int64_t i) {
          return all[static_cast<std::size_t>(i * width + column)];
        });
        EXPECT_EQ(found[static_cast<std::size_t>(column)], expected) << count << " leaves";
      }
    }
  }
}

void expect_norm(Communicator& communicator) {
  const auto alone = make_single_process_communicator();
  for (const FlatLayout& layout : {small_layout(), large_layout(), FlatLayout({})}) {
    const auto gradient = random_gradient(layout, 7);
    const double found =
        gradient_norm(communicator, layout, shard_of(gradient, layout, communicator));
    EXPECT_EQ(found, gradient_norm(*alone, layout, gradient));
    long double squares = 0.0L;
    for (const float g : gradient) squares += static_cast<long double>(g) * g;
    EXPECT_NEAR(found, static_cast<double>(std::sqrt(squares)), 1e-12 * (1.0 + found));
  }
}

void expect_clip(const Place& place) {
  const auto alone = make_single_process_communicator();
  const auto state_of = [&](const ClipState* state) {
    ClipState found;
    place.memory.read(std::as_writable_bytes(std::span(&found, 1)),
                      reinterpret_cast<const std::byte*>(state));
    return found;
  };
  for (const FlatLayout& layout : {small_layout(), large_layout(), FlatLayout({})}) {
    std::vector<float> gradient = random_gradient(layout, 7);
    const double norm = gradient_norm(*alone, layout, gradient);
    for (const double clip_norm : {0.0, 0.5, 1e9}) {
      const auto mine = shard_of(gradient, layout, place.communicator);
      const TestBuffer<float> shard(place.memory, std::vector<float>(mine.begin(), mine.end()));
      GradientClip clip(place.communicator, layout, clip_norm, place.math);
      const ClipState found = state_of(clip.measure(shard.span()));
      EXPECT_EQ(found.norm, norm);
      EXPECT_EQ(found.scale,
                clip_norm == 0.5 && norm > 0.5 ? static_cast<float>(0.5 / norm) : 1.0F);
      EXPECT_EQ(found.finite, 1);
      const TestBuffer<float> wrong(place.memory, shard.span().size() + 1);
      EXPECT_THROW((void)clip.measure(wrong.span()), InternalError);
    }
    if (gradient.empty()) continue;
    gradient.back() = std::numeric_limits<float>::infinity();
    const auto mine = shard_of(gradient, layout, place.communicator);
    const TestBuffer<float> shard(place.memory, std::vector<float>(mine.begin(), mine.end()));
    GradientClip clip(place.communicator, layout, 1.0, place.math);
    EXPECT_EQ(state_of(clip.measure(shard.span())).finite, 0);
  }
}

void expect_sharded_update(Communicator& communicator) {
  HostTestMemory memory;
  expect_sharded_update({communicator, host_flat_math(), memory});
}

void expect_sharded_update(const Place& place) {
  Communicator& communicator = place.communicator;
  const auto alone = make_single_process_communicator();
  const AdamWOptions options{.weight_decay = 0.1};
  const FlatLayout layout = large_layout();
  std::vector<float> expected = random_gradient(layout, 1);
  const TestBuffer<float> weights(place.memory, expected);
  ShardedAdamW whole(*alone, layout, expected, options);
  auto sharded =
      std::make_unique<ShardedAdamW>(communicator, layout, weights.span(), options, place.math);
  constexpr double kClip = 5.0;
  GradientClip clip(communicator, layout, kClip, place.math);
  for (std::uint32_t step = 0; step < 6; ++step) {
    const auto gradient = random_gradient(layout, 100 + step);
    const auto mine = shard_of(gradient, layout, communicator);
    const TestBuffer<float> shard(place.memory, std::vector<float>(mine.begin(), mine.end()));
    const double learning_rate = 1e-3 * (step + 1);
    // Half of the steps clip where the gradient lies.
    const bool apart = step % 2 == 1;
    const double norm = gradient_norm(*alone, layout, gradient);
    ASSERT_GT(norm, kClip);
    whole.step(gradient, learning_rate, apart ? kClip / norm : 0.3);
    if (apart) {
      sharded->step(shard.span(), learning_rate, clip.measure(shard.span()));
    } else {
      sharded->step(shard.span(), learning_rate, 0.3);
    }
    ASSERT_TRUE(same_bits<float>(weights.get(), expected)) << "step " << step;
    if (step == 2) {
      const auto first = values_of(place, sharded->first_moment());
      const auto second = values_of(place, sharded->second_moment());
      sharded =
          std::make_unique<ShardedAdamW>(communicator, layout, weights.span(), options, place.math);
      sharded->restore(3, first, second);
    }
  }
  EXPECT_EQ(sharded->steps_done(), 6);
  const std::vector<float> first(whole.first_moment().begin(), whole.first_moment().end());
  const std::vector<float> second(whole.second_moment().begin(), whole.second_moment().end());
  const auto expect_moments = [&] {
    EXPECT_TRUE(same_bits<float>(values_of(place, sharded->first_moment()),
                                 shard_of(first, layout, communicator)));
    EXPECT_TRUE(same_bits<float>(values_of(place, sharded->second_moment()),
                                 shard_of(second, layout, communicator)));
  };
  expect_moments();

  // A gradient that is not finite on one rank changes nothing on any.
  std::vector<float> broken = random_gradient(layout, 200);
  broken.front() = std::numeric_limits<float>::quiet_NaN();
  const auto mine = shard_of(broken, layout, communicator);
  const TestBuffer<float> shard(place.memory, std::vector<float>(mine.begin(), mine.end()));
  sharded->step(shard.span(), 1e-3, clip.measure(shard.span()));
  EXPECT_TRUE(same_bits<float>(weights.get(), expected));
  expect_moments();
}

void expect_too_few_micro_batches(Communicator& communicator) {
  const FlatLayout layout = small_layout();
  EXPECT_THROW(GradientReducer(communicator, layout, communicator.world_size() - 1), ConfigError);
}

}  // namespace sbm::distributed
