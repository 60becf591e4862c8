#include "data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

#include "base/error.h"
#include "data/dataset_writer.h"
#include "tests/data/fixtures.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Dataset, GivesBackWhatWasWritten) {
  const TemporaryFolder folder;
  const std::string fingerprint = write_class_dataset(folder.path(), 500, 30);
  const Dataset train = Dataset::open(folder.path(), "train");
  EXPECT_EQ(train.size(), 500U);
  EXPECT_EQ(train.task(), "test/classes");
  EXPECT_EQ(train.split(), "train");
  EXPECT_EQ(train.label_kind(), LabelKind::kClass);
  EXPECT_EQ(train.label_names(), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(train.vocabulary_size(), 40);
  EXPECT_EQ(train.longest(), 23);
  EXPECT_EQ(train.fingerprint(), fingerprint);
  EXPECT_EQ(fingerprint.size(), 32U);
  for (std::uint64_t i = 0; i < train.size(); ++i) {
    const SampleView sample = train.sample(i);
    ASSERT_EQ(sample.length(), static_cast<std::int64_t>(1 + (7 * i) % 23));
    ASSERT_EQ(sample.tokens8.size(), 1 + (7 * i) % 23);
    for (std::size_t t = 0; t < sample.tokens8.size(); ++t) {
      ASSERT_EQ(sample.tokens8[t], 1 + (i * 31 + t * t) % 39);
    }
    ASSERT_EQ(sample.label, static_cast<std::int32_t>(i % 3));
    ASSERT_TRUE(sample.token_labels.empty());
  }
  EXPECT_EQ(Dataset::open(folder.path(), "test").size(), 30U);
  EXPECT_THROW((void)train.sample(500), InternalError);
}

TEST(Dataset, GivesBackTokensOf16BitsAndTheirLabels) {
  const TemporaryFolder folder;
  write_token_dataset(folder.path(), 200);
  const Dataset train = Dataset::open(folder.path(), "train");
  EXPECT_EQ(train.label_kind(), LabelKind::kPerToken);
  for (std::uint64_t i = 0; i < train.size(); ++i) {
    const SampleView sample = train.sample(i);
    ASSERT_EQ(sample.tokens16.size(), 1 + i % 11);
    ASSERT_EQ(sample.token_labels.size(), 1 + i % 11);
    ASSERT_EQ(sample.label, -1);
    for (std::size_t t = 0; t < sample.tokens16.size(); ++t) {
      ASSERT_EQ(sample.tokens16[t], 1 + (i * 97 + t * 311) % 999);
      ASSERT_EQ(sample.token_labels[t], sample.tokens16[t] >= 500 ? 1 : 0);
    }
  }
}

TEST(Dataset, IsTheSameHoweverItIsCutIntoShards) {
  const TemporaryFolder folder;
  write_class_dataset(folder.path() / "one", 500, 30);
  write_class_dataset(folder.path() / "many", 500, 30, 600);
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "one/train/shard-00001.sbm"));
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "many/train/shard-00010.sbm"));
  const Dataset one = Dataset::open(folder.path() / "one", "train");
  const Dataset many = Dataset::open(folder.path() / "many", "train");
  ASSERT_EQ(many.size(), one.size());
  for (std::uint64_t i = 0; i < one.size(); ++i) {
    const SampleView a = one.sample(i);
    const SampleView b = many.sample(i);
    ASSERT_TRUE(std::equal(a.tokens8.begin(), a.tokens8.end(), b.tokens8.begin(), b.tokens8.end()));
    ASSERT_EQ(a.label, b.label);
  }
}

TEST(Dataset, AnEmptySplitIsASplit) {
  const TemporaryFolder folder;
  write_class_dataset(folder.path(), 5, 0);
  EXPECT_EQ(Dataset::open(folder.path(), "test").size(), 0U);
}

TEST(Dataset, SaysWhatIsMissing) {
  const TemporaryFolder folder;
  EXPECT_THAT([&] { Dataset::open(folder.path() / "nowhere", "train"); },
              ThrowsMessage<DataError>(HasSubstr("index.pb")));
  write_class_dataset(folder.path() / "data", 5, 5);
  EXPECT_THAT([&] { Dataset::open(folder.path() / "data", "dev"); },
              ThrowsMessage<DataError>(HasSubstr("found train, test")));
  std::filesystem::remove(folder.path() / "data/train/shard-00000.sbm");
  EXPECT_THAT([&] { Dataset::open(folder.path() / "data", "train"); },
              ThrowsMessage<DataError>(HasSubstr("shard-00000.sbm: cannot open")));
}

// Many threads touch the same unverified blocks at once; a thread sanitizer watches.
TEST(Dataset, MayBeReadByManyThreads) {
  const TemporaryFolder folder;
  write_class_dataset(folder.path(), 3000, 0, 8000);
  const Dataset train = Dataset::open(folder.path(), "train");
  std::vector<std::uint64_t> sums(4);
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < sums.size(); ++thread) {
    threads.emplace_back([&, thread] {
      for (std::uint64_t i = 0; i < train.size(); ++i) {
        for (const std::uint8_t token : train.sample(i).tokens8) sums[thread] += token;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(sums[0], 0U);
  EXPECT_EQ(sums, std::vector<std::uint64_t>(4, sums[0]));
}

TEST(DatasetWriter, RefusesSamplesThatBreakTheDescription) {
  const TemporaryFolder folder;
  DatasetDescription description;
  description.recipe.task = "test";
  description.splits = {"train"};
  description.label_kind = LabelKind::kClass;
  description.label_names = {"a", "b"};
  description.vocabulary_size = 10;
  DatasetWriter writer(folder.path(), description);
  const std::vector<std::uint8_t> good = {1, 9};
  const std::vector<std::uint8_t> bad = {1, 10};
  const std::vector<std::uint16_t> wide = {1, 9};
  EXPECT_THROW(writer.add(0, {.tokens8 = bad, .label = 0}), InternalError);
  EXPECT_THROW(writer.add(0, {.tokens8 = good, .label = 2}), InternalError);
  EXPECT_THROW(writer.add(0, {.tokens8 = good, .label = -1}), InternalError);
  EXPECT_THROW(writer.add(0, {.tokens8 = {}, .label = 0}), InternalError);
  EXPECT_THROW(writer.add(0, {.tokens16 = wide, .label = 0}), InternalError);
  writer.add(0, {.tokens8 = good, .label = 1});
  writer.finish();
  EXPECT_EQ(Dataset::open(folder.path(), "train").size(), 1U);
}

}  // namespace
}  // namespace sbm::data
