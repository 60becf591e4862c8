#pragma once

#include "distributed/communicator.h"
#include "distributed/flat_math.h"
#include "tests/distributed/test_memory.h"

// What must come out bit for bit the same at any world size: called on every rank of a group, by
// the tests with threads as ranks and by those with real ones. Each rank recomputes the answer
// alone, from all micro-batches, by the plain recursion of base/tree_sum.h.
namespace sbm::distributed {

/// Where the flat buffers of a test lie, and what computes on them.
struct Place {
  Communicator& communicator;
  FlatMath& math;
  TestMemory& memory;
};

/// GradientReducer over 1 to 21 micro-batches (at least one a rank), two steps each.
void expect_gradient_tree(Communicator& communicator);
void expect_gradient_tree(const Place& place);
/// tree_all_reduce over 0 to 40 leaves, ranks without any among them.
void expect_tree_all_reduce(Communicator& communicator);
/// gradient_norm against the same norm by a group of one.
void expect_norm(Communicator& communicator);
/// GradientClip: the same norm, its scale, and what is not finite.
void expect_clip(const Place& place);
/// ShardedAdamW over several steps, with a restore in between, against a group of one.
void expect_sharded_update(Communicator& communicator);
void expect_sharded_update(const Place& place);
/// More ranks than micro-batches: ConfigError.
void expect_too_few_micro_batches(Communicator& communicator);

}  // namespace sbm::distributed
