#include <gtest/gtest.h>

#include "tests/distributed/training_suite.h"
#include "tests/distributed_mpi/world.h"

namespace sbm::distributed {
namespace {

TEST(MpiTraining, GradientTree) { expect_gradient_tree(world()); }
TEST(MpiTraining, TreeAllReduce) { expect_tree_all_reduce(world()); }
TEST(MpiTraining, GradientNorm) { expect_norm(world()); }
TEST(MpiTraining, ShardedUpdate) { expect_sharded_update(world()); }
TEST(MpiTraining, TooFewMicroBatches) { expect_too_few_micro_batches(world()); }

}  // namespace
}  // namespace sbm::distributed
