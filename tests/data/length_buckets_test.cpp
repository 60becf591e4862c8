// Which samples share a micro-batch, and how far their rows are padded.
#include "data/length_buckets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/dataset_writer.h"
#include "data/evaluation_batches.h"
#include "data/loader.h"
#include "tests/data/fixtures.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

using ::testing::ElementsAre;

TEST(BucketEdge, IsTheNextOfFewEdges) {
  for (const std::int64_t granularity : {1, 8, 24, 64}) {
    std::set<std::int64_t> edges;
    for (std::int64_t length = 1; length <= 4096; ++length) {
      const std::int64_t edge = bucket_edge(length, granularity);
      ASSERT_GE(edge, length);
      if (granularity != 24) {
        ASSERT_EQ(bucket_edge(edge, granularity), edge) << length;
      }
      ASSERT_LT(edge - length, std::max(granularity, (length + 7) / 8)) << length;
      ASSERT_TRUE(edges.empty() || edge >= *edges.rbegin()) << length;
      edges.insert(edge);
    }
    EXPECT_LE(edges.size(), 100U);  // 8 an octave
  }
  EXPECT_EQ(bucket_edge(1, 8), 8);
  EXPECT_EQ(bucket_edge(128, 8), 128);
  EXPECT_EQ(bucket_edge(129, 8), 144);
  EXPECT_EQ(bucket_edge(1000, 8), 1024);
  EXPECT_EQ(bucket_edge(65, 0), 128);
  EXPECT_EQ(bucket_edge(1985, 0), 2048);
  EXPECT_THROW(static_cast<void>(bucket_edge(0, 8)), InternalError);
  EXPECT_THROW(static_cast<void>(bucket_edge(INT64_MAX, 8)), InternalError);
}

class LengthOrder : public ::testing::Test {
 protected:
  std::vector<std::int64_t> lengths(std::span<const std::uint64_t> ids) const {
    std::vector<std::int64_t> result;
    for (const std::uint64_t id : ids) result.push_back(dataset_.length(id));
    return result;
  }

  TemporaryFolder folder_;
  Dataset dataset_ =
      (write_class_dataset(folder_.path(), 50, 0), Dataset::open(folder_.path(), "train"));
  LengthBuckets buckets_{.max_length = 20, .granularity = 4};
};

TEST_F(LengthOrder, ASampleIsAsLongAsItsTokens) {
  for (std::uint64_t id = 0; id < 50; ++id) {
    EXPECT_EQ(dataset_.length(id), dataset_.sample(id).length());
    EXPECT_EQ(dataset_.first_length(id), 0);
    EXPECT_EQ(sequence_length(dataset_, id, buckets_),
              std::min<std::int64_t>(20, dataset_.length(id)));
  }
  EXPECT_THROW(static_cast<void>(dataset_.length(50)), InternalError);
}

// Sorted by (length, id), cut, and the cuts dealt as 0 4 2 1 3: 3 bits reversed.
TEST_F(LengthOrder, MicroBatchesAreSortedCutAndDealtByBitReversal) {
  std::vector<std::uint64_t> ids(20);
  std::iota(ids.begin(), ids.end(), 7);
  std::reverse(ids.begin() + 3, ids.end());
  const auto dealt = cut_by_length(dataset_, ids, 4, buckets_);
  ASSERT_EQ(dealt.size(), 5U);
  std::vector<std::uint64_t> expected = ids;
  std::sort(expected.begin(), expected.end(), [&](std::uint64_t a, std::uint64_t b) {
    const std::int64_t length_a = std::min<std::int64_t>(20, dataset_.length(a));
    const std::int64_t length_b = std::min<std::int64_t>(20, dataset_.length(b));
    return length_a != length_b ? length_a < length_b : a < b;
  });
  const std::vector<std::ptrdiff_t> order = {0, 4, 2, 1, 3};
  for (std::size_t leaf = 0; leaf < 5; ++leaf) {
    const auto first = expected.begin() + 4 * order[leaf];
    EXPECT_EQ(dealt[leaf], std::vector<std::uint64_t>(first, first + 4));
  }
  std::reverse(ids.begin(), ids.end());  // the order before does not matter
  EXPECT_EQ(cut_by_length(dataset_, ids, 4, buckets_), dealt);
  std::vector<std::size_t> sizes(4);
  for (const auto& part : cut_by_length(dataset_, ids, 3, buckets_)) ++sizes.at(part.size());
  EXPECT_THAT(sizes, ElementsAre(0, 0, 1, 6));
}

TEST_F(LengthOrder, EveryContiguousRunHasShortAndLongOnes) {
  std::vector<std::uint64_t> ids(48);
  std::iota(ids.begin(), ids.end(), 0);
  const auto dealt = cut_by_length(dataset_, ids, 3, buckets_);
  ASSERT_EQ(dealt.size(), 16U);
  for (const std::size_t run : {2U, 4U, 8U}) {
    std::vector<std::int64_t> sums(run);
    for (std::size_t i = 0; i < 16; ++i) {
      const auto of_batch = lengths(dealt[i]);
      sums[i * run / 16] += std::accumulate(of_batch.begin(), of_batch.end(), std::int64_t{0});
    }
    const auto [least, most] = std::minmax_element(sums.begin(), sums.end());
    EXPECT_LT(*most, 3 * *least) << run;  // sorted ones differ 3 to 15 times
  }
}

TEST_F(LengthOrder, OneBucketAndGranularity0KeepTheOrder) {
  const std::vector<std::uint64_t> ids = {9, 2, 31, 4, 40, 0, 17};
  const std::vector<std::vector<std::uint64_t>> plain = {{9, 2, 31}, {4, 40, 0}, {17}};
  EXPECT_EQ(cut_by_length(dataset_, ids, 3, {.max_length = 20}), plain);
  EXPECT_EQ(cut_by_length(dataset_, ids, 3, {.max_length = 20, .granularity = 32}), plain);
  EXPECT_NE(cut_by_length(dataset_, ids, 3, buckets_), plain);
  EXPECT_EQ(cut_by_length(dataset_, ids, 3, {.max_length = 1, .granularity = 1}), plain);
  EXPECT_TRUE(cut_by_length(dataset_, {}, 3, buckets_).empty());
  EXPECT_THROW(static_cast<void>(cut_by_length(dataset_, ids, 0, buckets_)), InternalError);
}

TEST_F(LengthOrder, RowsArePaddedToTheBucket) {
  const std::vector<std::uint64_t> ids = {0, 1};  // 1 and 8 tokens
  EXPECT_EQ(collate(dataset_, ids, {.max_length = 20, .granularity = 3}).padded_length, 9);
  EXPECT_EQ(collate(dataset_, ids, {.max_length = 20, .granularity = 3}).granularity, 3);
  EXPECT_EQ(collate(dataset_, ids, {.max_length = 20, .granularity = 32}).padded_length, 20);
  EXPECT_EQ(collate(dataset_, ids, {.max_length = 20}).padded_length, 20);
  EXPECT_EQ(collate(dataset_, {}, buckets_).size, 0);
}

TEST_F(LengthOrder, TrainingStepsAreOrderedWhoeverAsks) {
  TrainingPlan plan{
      .seed = 5, .global_batch = 15, .micro_batch = 3, .last_micro_batch = 5, .lengths = buckets_};
  TrainingLoader whole(dataset_, plan);
  plan.first_micro_batch = 2;
  plan.last_micro_batch = 4;
  plan.first_step = 3;
  TrainingLoader part(dataset_, plan);
  for (std::uint64_t step = 0; step < 12; ++step) {  // 180 positions: epochs end within steps
    std::vector<std::uint64_t> ids;
    for (std::uint64_t i = 0; i < 15; ++i) ids.push_back(sample_at(5, 50, step * 15 + i));
    const auto expected = cut_by_length(dataset_, ids, 3, buckets_);
    for (std::size_t leaf = 0; leaf < 5; ++leaf) {
      const Batch batch = whole.next();
      ASSERT_EQ(batch.sample_ids, expected[leaf]) << step;
      ASSERT_EQ(batch.padded_length, collate(dataset_, expected[leaf], buckets_).padded_length);
      if (step >= 3 && (leaf == 2 || leaf == 3)) {
        ASSERT_EQ(part.next().sample_ids, expected[leaf]) << step;
      }
    }
  }
}

TEST_F(LengthOrder, EvaluationReadsWindowsOfTheSplit) {
  const TemporaryFolder folder;
  const std::uint64_t size = 2 * 1024 + 77;
  write_class_dataset(folder.path(), size, 0);
  const Dataset split = Dataset::open(folder.path(), "train");
  EvaluationBatches batches(split, 2, buckets_);
  ASSERT_EQ(batches.count(), (static_cast<std::int64_t>(size) + 1) / 2);
  std::vector<std::uint64_t> ids;
  std::vector<std::size_t> sizes(3);
  for (std::int64_t index = 0; index < batches.count(); ++index) {
    const Batch batch = batches.batch(index);
    ++sizes.at(batch.sample_ids.size());
    for (const std::uint64_t id : batch.sample_ids) {
      EXPECT_EQ(id / 2048, static_cast<std::uint64_t>(index) / 1024);
    }
    const auto expected = batches.ids(index);
    EXPECT_EQ(batch.sample_ids, std::vector(expected.begin(), expected.end()));
    EXPECT_LE(batch.padded_length - *std::ranges::max_element(batch.lengths), 3);
    ids.insert(ids.end(), batch.sample_ids.begin(), batch.sample_ids.end());
  }
  EXPECT_THAT(sizes, ElementsAre(0, 1, size / 2));
  std::sort(ids.begin(), ids.end());
  for (std::size_t i = 0; i < size; ++i) ASSERT_EQ(ids[i], i);
  // Another order of asking gives the same answer.
  const auto last = batches.ids(batches.count() - 1);
  EvaluationBatches again(split, 2, buckets_);
  const auto first = again.ids(batches.count() - 1);
  EXPECT_TRUE(std::ranges::equal(last, first));
}

TEST(LengthOrderOfParts, TheLongerDocumentCounts) {
  const TemporaryFolder folder;
  DatasetDescription pairs{.recipe = {.task = "test/pairs", .generator = "test"},
                           .splits = {"train"},
                           .label_kind = LabelKind::kClass,
                           .label_names = {"a"},
                           .vocabulary_size = 300,
                           .pairs = true};
  DatasetWriter writer(folder.path(), pairs);
  const std::vector<std::uint16_t> tokens(30, 7);
  const std::vector<std::pair<std::size_t, std::int32_t>> shapes = {{30, 2}, {20, 10}, {9, 8}};
  for (const auto& [length, first] : shapes) {
    writer.add(0, {.tokens16 = std::span(tokens).first(length), .first_length = first, .label = 0});
  }
  writer.finish();
  const Dataset train = Dataset::open(folder.path(), "train");
  EXPECT_EQ(train.first_length(1), 10);
  const auto of = [&](const LengthBuckets& buckets) {
    std::vector<std::int64_t> lengths;
    for (std::uint64_t id = 0; id < 3; ++id) {
      lengths.push_back(sequence_length(train, id, buckets));
    }
    return lengths;
  };
  EXPECT_THAT(of({.max_length = 30, .granularity = 1}), ElementsAre(30, 20, 9));
  EXPECT_THAT(of({.max_length = 30, .granularity = 1, .part_length = 100}), ElementsAre(28, 10, 8));
  EXPECT_THAT(of({.max_length = 30, .granularity = 1, .part_length = 9}), ElementsAre(9, 9, 8));
}

}  // namespace
}  // namespace sbm::data
