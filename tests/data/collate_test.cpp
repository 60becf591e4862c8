#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "data/dataset.h"
#include "data/evaluation_batches.h"
#include "tests/data/fixtures.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

TEST(Collate, PadsCutsAndKeepsTheOrder) {
  const TemporaryFolder folder;
  write_class_dataset(folder.path(), 100, 0);
  const Dataset train = Dataset::open(folder.path(), "train");
  const std::vector<std::uint64_t> ids = {3, 0, 99, 3};  // lengths 22, 1, 4, 22
  for (const std::int64_t max_length : {1, 5, 20, 22, 24, 1000}) {
    for (const std::int64_t multiple : {1, 4, 8, 64}) {
      const Batch batch = collate(train, ids, max_length, multiple);
      const std::int64_t longest = std::min<std::int64_t>(22, max_length);
      std::int64_t padded = longest;
      while (padded % multiple != 0) ++padded;
      padded = std::min(padded, max_length);
      ASSERT_EQ(batch.size, 4);
      ASSERT_EQ(batch.padded_length, padded);
      ASSERT_EQ(batch.sample_ids, ids);
      ASSERT_EQ(std::ssize(batch.tokens), 4 * padded);
      ASSERT_EQ(std::ssize(batch.valid), 4 * padded);
      ASSERT_TRUE(batch.token_labels.empty());
      for (std::size_t row = 0; row < ids.size(); ++row) {
        const SampleView sample = train.sample(ids[row]);
        ASSERT_EQ(batch.labels[row], sample.label);
        ASSERT_EQ(batch.lengths[row], std::min(sample.length(), max_length));
        for (std::int64_t t = 0; t < padded; ++t) {
          const auto cell = row * static_cast<std::size_t>(padded) + static_cast<std::size_t>(t);
          const bool real = t < batch.lengths[row];
          ASSERT_EQ(batch.valid[cell], real ? 1 : 0);
          ASSERT_EQ(batch.tokens[cell], real ? sample.tokens8[static_cast<std::size_t>(t)] : 0);
        }
      }
    }
  }
}

TEST(Collate, LabelsOfTokensAreMinusOneOnPadding) {
  const TemporaryFolder folder;
  write_token_dataset(folder.path(), 50);
  const Dataset train = Dataset::open(folder.path(), "train");
  const std::vector<std::uint64_t> ids = {10, 0, 4};  // lengths 11, 1, 5
  const Batch batch = collate(train, ids, 6, 64);
  ASSERT_EQ(batch.padded_length, 6);
  EXPECT_TRUE(batch.labels.empty());
  for (std::size_t row = 0; row < ids.size(); ++row) {
    const SampleView sample = train.sample(ids[row]);
    for (std::size_t t = 0; t < 6; ++t) {
      const bool real = t < sample.tokens16.size();
      EXPECT_EQ(batch.token_labels[row * 6 + t], real ? sample.token_labels[t] : -1);
      EXPECT_EQ(batch.tokens[row * 6 + t], real ? sample.tokens16[t] : 0);
    }
  }
}

TEST(Collate, EdgesAreSound) {
  const TemporaryFolder folder;
  write_class_dataset(folder.path(), 10, 0);
  const Dataset train = Dataset::open(folder.path(), "train");
  const std::vector<std::uint64_t> ids = {3};
  EXPECT_EQ(collate(train, {}, 10, 4).size, 0);
  EXPECT_EQ(collate(train, ids, 22, INT64_MAX).padded_length, 22);
  EXPECT_THROW(collate(train, ids, 0, 1), InternalError);
  EXPECT_THROW(collate(train, ids, 1, 0), InternalError);
}

TEST(EvaluationBatches, HoldEverySampleOnceInOrder) {
  const TemporaryFolder folder;
  write_class_dataset(folder.path(), 10, 0);
  const Dataset train = Dataset::open(folder.path(), "train");
  for (const std::int64_t micro : {1, 3, 5, 10, 11}) {
    std::vector<std::uint64_t> ids;
    EvaluationBatches batches(train, micro, {.max_length = 100});
    const std::int64_t count = batches.count();
    for (std::int64_t i = 0; i < count; ++i) {
      const Batch batch = batches.batch(i);
      EXPECT_EQ(batch.size, i + 1 < count ? micro : 10 - i * micro);
      ids.insert(ids.end(), batch.sample_ids.begin(), batch.sample_ids.end());
    }
    EXPECT_EQ(ids, (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
    EXPECT_THROW(batches.batch(count), InternalError);
    EXPECT_THROW(batches.batch(-1), InternalError);
  }
  EvaluationBatches whole(train, 4, {.max_length = 100}, 8);
  ASSERT_EQ(whole.count(), 2);
  EXPECT_THAT(whole.batch(1).sample_ids, testing::ElementsAre(4, 5, 6, 7));
  EXPECT_EQ(EvaluationBatches(train, 4, {.max_length = 100}, 99).count(), 3);
  EXPECT_EQ(EvaluationBatches(train, INT64_MAX, {.max_length = 100}).batch(0).size, 10);
  EXPECT_THROW(EvaluationBatches(train, 0, {.max_length = 100}), ConfigError);
}

}  // namespace
}  // namespace sbm::data
