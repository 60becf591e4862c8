#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"
#include "distributed/gradient_reducer.h"
#include "distributed/sharded_adamw.h"
#include "tests/distributed/stand_in_math.h"
#include "tests/distributed/training_suite.h"
#include "tests/distributed_mpi/stand_in_group.h"
#include "tests/distributed_mpi/world.h"

namespace sbm::distributed {
namespace {

TEST(MpiTraining, GradientTree) { expect_gradient_tree(world()); }
TEST(MpiTraining, TreeAllReduce) { expect_tree_all_reduce(world()); }
TEST(MpiTraining, GradientNorm) { expect_norm(world()); }
TEST(MpiTraining, ShardedUpdate) { expect_sharded_update(world()); }
TEST(MpiTraining, GradientClip) {
  HostTestMemory memory;
  expect_clip({world(), host_flat_math(), memory});
}

TEST(NcclTraining, GradientsNormAndUpdate) {
  for (std::uint32_t seed = 31; seed < 33; ++seed) {
    StandInGroup group(seed);
    StandInMath math(*group.streams);
    const Place place{*group.communicator, math, *group.memory};
    expect_gradient_tree(place);
    expect_clip(place);
    expect_sharded_update(place);
    group.communicator->synchronize();
  }
}

TEST(NcclTraining, RefusesToMixKindsOfMemory) {
  StandInGroup group(34);
  StandInMath math(*group.streams);
  const FlatLayout layout({{"a", {3}, true}});
  std::vector<float> weights(static_cast<std::size_t>(layout.size()));
  const std::int64_t count = 8;
  EXPECT_THROW(GradientReducer(*group.communicator, layout, count), InternalError);
  EXPECT_THROW(GradientReducer(world(), layout, count, math), InternalError);
  EXPECT_THROW(ShardedAdamW(world(), layout, weights, {}, math), InternalError);
  EXPECT_THROW(GradientClip(world(), layout, 1.0, math), InternalError);
}

TEST(MpiTraining, TooFewMicroBatches) { expect_too_few_micro_batches(world()); }

}  // namespace
}  // namespace sbm::distributed
