#include "distributed/sum_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/tree_sum.h"
#include "distributed/gradient_reducer.h"
#include "distributed/tree_all_reduce.h"
#include "tests/distributed/local_group.h"
#include "tests/distributed/training_suite.h"

namespace sbm::distributed {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(MicroBatchRun, IsContiguousAndEven) {
  EXPECT_EQ(micro_batch_run(0, 3, 8), (ElementRange{0, 3}));
  EXPECT_EQ(micro_batch_run(1, 3, 8), (ElementRange{3, 6}));
  EXPECT_EQ(micro_batch_run(2, 3, 8), (ElementRange{6, 8}));
  try {
    (void)micro_batch_run(0, 5, 4);
    FAIL() << "more ranks than micro-batches were accepted";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("4 micro-batches"));
    EXPECT_THAT(error.what(), HasSubstr("5 ranks"));
  }
}

TEST(MaximalSubtrees, AreTheLargestNodesWithinTheRun) {
  EXPECT_THAT(maximal_subtrees(8, {0, 8}), ElementsAre(ElementRange{0, 8}));
  EXPECT_THAT(maximal_subtrees(8, {3, 8}), ElementsAre(ElementRange{3, 4}, ElementRange{4, 8}));
  EXPECT_THAT(maximal_subtrees(8, {1, 7}), ElementsAre(ElementRange{1, 2}, ElementRange{2, 4},
                                                       ElementRange{4, 6}, ElementRange{6, 7}));
  // Of 5 leaves the first half has 3, of which the first has 2.
  EXPECT_THAT(maximal_subtrees(5, {0, 4}), ElementsAre(ElementRange{0, 3}, ElementRange{3, 4}));
  EXPECT_THAT(maximal_subtrees(5, {2, 2}), IsEmpty());
  EXPECT_THAT(maximal_subtrees(0, {0, 0}), IsEmpty());
}

/// Replays a stack of ranges and says how high it grew.
std::int64_t replay_stack(std::int64_t leaves, ElementRange run) {
  const auto merges = merges_after_leaves(leaves, run);
  std::vector<ElementRange> stack;
  std::size_t highest = 0;
  for (auto i = run.begin; i < run.end; ++i) {
    stack.push_back({i, i + 1});
    for (auto m = merges[static_cast<std::size_t>(i - run.begin)]; m > 0; --m) {
      const ElementRange right = stack.back();
      stack.pop_back();
      EXPECT_EQ(tree_split(stack.back().begin, right.end), right.begin);
      EXPECT_EQ(stack.back().end, right.begin);
      stack.back().end = right.end;
    }
    highest = std::max(highest, stack.size());
  }
  EXPECT_EQ(stack, maximal_subtrees(leaves, run));
  return static_cast<std::int64_t>(highest);
}

TEST(MergesAfterLeaves, BuildTheMaximalSubtreesOnASmallStack) {
  for (std::int64_t leaves = 1; leaves <= 130; ++leaves) {
    std::int64_t levels = 0;
    while ((std::int64_t{1} << levels) < leaves) ++levels;
    for (int ranks = 1; ranks <= leaves; ++ranks) {
      for (int r = 0; r < ranks; ++r) {
        EXPECT_LE(replay_stack(leaves, micro_batch_run(r, ranks, leaves)), levels + 1)
            << leaves << " leaves, rank " << r << " of " << ranks;
      }
    }
  }
}

TEST(MergeOrder, RefusesPartialsThatAreNoSubtrees) {
  const std::vector<ElementRange> gap = {{0, 2}, {3, 4}};
  const std::vector<ElementRange> crossing = {{0, 1}, {1, 3}, {3, 4}};
  const std::vector<ElementRange> too_many = {{0, 4}, {4, 5}};
  EXPECT_THROW(merge_order({0, 4}, gap), InternalError);
  EXPECT_THROW(merge_order({0, 4}, crossing), InternalError);
  EXPECT_THROW(merge_order({0, 4}, too_many), InternalError);
}

TEST(TreeAllReduce, SameBitsAtEveryWorldSize) {
  for (int ranks = 1; ranks <= 6; ++ranks) run_local_group(ranks, expect_tree_all_reduce);
}

TEST(TreeAllReduce, RefusesAWrongNumberOfValues) {
  const auto alone = make_single_process_communicator();
  const std::vector<double> values(5);
  EXPECT_THROW(tree_all_reduce(*alone, 3, 2, values), InternalError);
}

TEST(GradientReducer, SameBitsAtEveryWorldSize) {
  for (int ranks = 1; ranks <= 5; ++ranks)
    run_local_group(ranks, [](Communicator& own) { expect_gradient_tree(own); });
}

TEST(GradientReducer, MoreRanksThanMicroBatchesIsAConfigError) {
  run_local_group(3, expect_too_few_micro_batches);
}

TEST(GradientReducer, RefusesStepsThatAreTooShortOrTooLong) {
  const auto alone = make_single_process_communicator();
  const FlatLayout layout({{"a", {3}, true}});
  GradientReducer reducer(*alone, layout, 2);
  reducer.begin_micro_batch();
  reducer.end_micro_batch();
  EXPECT_THROW((void)reducer.reduce(), InternalError);
  reducer.begin_micro_batch();
  reducer.end_micro_batch();
  EXPECT_THROW(reducer.end_micro_batch(), InternalError);
  EXPECT_EQ(reducer.reduce().size(), static_cast<std::size_t>(FlatLayout::kChunk));
  EXPECT_THROW((void)reducer.reduce(), InternalError);
}

TEST(GradientReducer, SaysHowMuchMemoryItTakes) {
  const FlatLayout layout({{"a", {FlatLayout::kChunk * 4}, true}});
  const std::int64_t flat = layout.size() * 4;
  const auto alone = make_single_process_communicator();
  // One micro-batch: the leaf and its copy. Two: the same, the second is added to the first.
  EXPECT_EQ(GradientReducer(*alone, layout, 1).bytes(), 2 * flat);
  EXPECT_EQ(GradientReducer(*alone, layout, 2).bytes(), 2 * flat);
  EXPECT_EQ(GradientReducer(*alone, layout, 8).bytes(), 4 * flat);
  run_local_group(2, [&](Communicator& communicator) {
    // And two received halves.
    EXPECT_EQ(GradientReducer(communicator, layout, 2).bytes(), 3 * flat);
  });
}

}  // namespace
}  // namespace sbm::distributed
