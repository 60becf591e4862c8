// What a sample may carry besides its tokens and a class: two parts, a score, nothing at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "data/dataset.h"
#include "data/dataset_index.h"
#include "data/dataset_writer.h"
#include "data/inspect.h"
#include "data/shard_writer.h"
#include "data/verify.h"
#include "tests/data/fixtures.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

DatasetDescription description(LabelKind kind) {
  DatasetDescription description{.recipe = {.task = "test/parts", .generator = "test"},
                                 .splits = {"train", "test"},
                                 .label_kind = kind,
                                 .vocabulary_size = 300};
  if (kind == LabelKind::kClass) description.label_names = {"no", "yes"};
  return description;
}

const std::vector<std::uint16_t> kTokens = {10, 11, 12, 13, 14};

TEST(SampleParts, PairsKnowWhereTheSecondPartBegins) {
  const TemporaryFolder folder;
  DatasetDescription pairs = description(LabelKind::kClass);
  pairs.pairs = true;
  DatasetWriter writer(folder.path(), pairs);
  writer.add(0, {.tokens16 = kTokens, .first_length = 2, .label = 1});
  writer.add(0, {.tokens16 = std::span(kTokens).first(3), .first_length = 3, .label = 0});
  EXPECT_THROW(writer.add(0, {.tokens16 = kTokens, .label = 1}), InternalError);
  EXPECT_THROW(writer.add(0, {.tokens16 = kTokens, .first_length = 6, .label = 1}), InternalError);
  EXPECT_THROW(writer.add(0, {.tokens16 = kTokens, .first_length = -1, .label = 1}), InternalError);
  writer.finish();
  EXPECT_THAT(verify_dataset(folder.path()).problems, IsEmpty());
  EXPECT_TRUE(inspect_dataset(folder.path()).pairs);
  const Dataset train = Dataset::open(folder.path(), "train");
  EXPECT_TRUE(train.pairs());
  EXPECT_EQ(train.sample(0).first_length, 2);
  const std::vector<std::uint64_t> ids = {0, 1};
  EXPECT_THAT(collate(train, ids, 8, 4).first_lengths, ElementsAre(2, 3));
  // Cut so short that the second sample loses tokens of its first part.
  EXPECT_THAT(collate(train, ids, 2, 1).first_lengths, ElementsAre(2, 2));
}

TEST(SampleParts, OnlyPairsHaveFirstLengths) {
  const TemporaryFolder folder;
  write_class_dataset(folder.path(), 3, 1);
  const Dataset train = Dataset::open(folder.path(), "train");
  EXPECT_FALSE(train.pairs());
  const Batch batch = collate(train, std::vector<std::uint64_t>{0, 1}, 64, 1);
  EXPECT_THAT(batch.first_lengths, IsEmpty());
  EXPECT_THAT(batch.scores, IsEmpty());
  const TemporaryFolder other;
  DatasetWriter writer(other.path(), description(LabelKind::kClass));
  EXPECT_THROW(writer.add(0, {.tokens16 = kTokens, .first_length = 2, .label = 1}), InternalError);
}

TEST(SampleParts, ScoresAreNumbers) {
  const TemporaryFolder folder;
  DatasetWriter writer(folder.path(), description(LabelKind::kScore));
  for (const float score : {0.0F, 3.8F, 5.0F}) {
    writer.add(0, {.tokens16 = kTokens, .score = score});
  }
  for (const float score : {std::nanf(""), std::numeric_limits<float>::infinity(), -2e6F}) {
    EXPECT_THROW(writer.add(0, {.tokens16 = kTokens, .score = score}), InternalError);
  }
  writer.finish();
  const Dataset train = Dataset::open(folder.path(), "train");
  EXPECT_EQ(train.label_kind(), LabelKind::kScore);
  EXPECT_EQ(train.sample(1).score, 3.8F);
  const Batch batch = collate(train, std::vector<std::uint64_t>{2, 1}, 8, 1);
  EXPECT_THAT(batch.scores, ElementsAre(5.0F, 3.8F));
  EXPECT_THAT(batch.labels, IsEmpty());
  EXPECT_THAT(verify_dataset(folder.path()).problems, IsEmpty());
  const SplitSummary summary = inspect_dataset(folder.path()).splits[0];
  EXPECT_FLOAT_EQ(static_cast<float>(summary.scores.mean), 8.8F / 3);
  EXPECT_EQ(summary.scores.max, 5.0);
  EXPECT_EQ(summary.scores.min, 0.0);
}

TEST(SampleParts, ASplitMayLackTheLabelsOfTheOthers) {
  for (const LabelKind kind : {LabelKind::kClass, LabelKind::kScore}) {
    for (const bool two_parts : {false, true}) {
      const TemporaryFolder folder;
      DatasetDescription partly = description(kind);
      partly.unlabelled = {"test"};
      partly.pairs = two_parts;
      const std::int32_t first = two_parts ? 4 : 0;
      DatasetWriter writer(folder.path(), partly);
      writer.add(0, {.tokens16 = kTokens, .first_length = first, .label = 1, .score = 2.5F});
      writer.add(1, {.tokens16 = kTokens, .first_length = first});
      writer.finish();
      EXPECT_THAT(verify_dataset(folder.path()).problems, IsEmpty());
      const DatasetSummary summary = inspect_dataset(folder.path());
      EXPECT_TRUE(summary.splits[0].labelled);
      EXPECT_FALSE(summary.splits[1].labelled);
      EXPECT_EQ(Dataset::open(folder.path(), "train").label_kind(), kind);
      const Dataset test = Dataset::open(folder.path(), "test");
      EXPECT_EQ(test.label_kind(), LabelKind::kNone);
      EXPECT_EQ(test.task_label_kind(), kind);
      EXPECT_EQ(test.label_names().size(), kind == LabelKind::kClass ? 2U : 0U);
      EXPECT_EQ(test.sample(0).label, -1);
      EXPECT_EQ(test.sample(0).first_length, first);
      const Batch batch = collate(test, std::vector<std::uint64_t>{0}, 8, 1);
      EXPECT_THAT(batch.labels, IsEmpty());
      EXPECT_THAT(batch.scores, IsEmpty());
      EXPECT_EQ(batch.first_lengths.size(), two_parts ? 1U : 0U);
    }
  }
}

TEST(SampleParts, BytesAreStoredAsTheyAreAndLoadedPlusOne) {
  const TemporaryFolder folder;
  DatasetDescription bytes = description(LabelKind::kNone);
  bytes.vocabulary_size = 257;
  bytes.token_offset = 1;
  DatasetWriter writer(folder.path(), bytes);
  const std::vector<std::uint8_t> text = {0, 7, 255};
  writer.add(0, {.tokens8 = text});
  writer.finish();
  const Dataset train = Dataset::open(folder.path(), "train");
  EXPECT_EQ(train.token_offset(), 1);
  EXPECT_THAT(train.sample(0).tokens8, ElementsAre(0, 7, 255));
  const Batch batch = collate(train, std::vector<std::uint64_t>{0}, 8, 4);
  EXPECT_THAT(batch.tokens, ElementsAre(1, 8, 256, 0));
  EXPECT_THAT(batch.valid, ElementsAre(1, 1, 1, 0));
}

// A data set of one sample of three tokens whose last columns are as given, checksums and all.
void write_by_hand(const std::filesystem::path& folder, LabelKind kind, bool pairs,
                   std::span<const std::uint8_t> label, std::int32_t first_length) {
  DatasetIndex index;
  index.set_version(kIndexVersion);
  index.mutable_recipe()->set_task("test/by-hand");
  index.set_label_kind(static_cast<std::int32_t>(kind));
  if (kind == LabelKind::kClass) index.add_label_names("only");
  index.set_vocabulary_size(100);
  if (pairs) index.set_pairs(true);
  Split& split = *index.add_splits();
  split.set_name("train");
  std::vector<ColumnSpec> specs;
  for (const ExpectedColumn& column : shard_columns(index, split)) specs.push_back(column.spec);
  ShardWriter writer(specs);
  writer.append(kTokensColumn, std::vector<std::uint8_t>{1, 2, 3});
  writer.append(kLabelColumn, label);
  if (pairs) {
    writer.append(first_length_column(kind),
                  {reinterpret_cast<const std::uint8_t*>(&first_length), sizeof first_length});
  }
  writer.end_sample();
  std::filesystem::create_directories(folder / "train");
  const ShardSummary written = writer.write(folder / shard_name("train", 0));
  Shard& shard = *split.add_shards();
  shard.set_file(shard_name("train", 0));
  shard.set_samples(1);
  shard.set_bytes(written.bytes);
  shard.set_xxh3_128(written.content.hex());
  split.set_samples(1);
  split.set_tokens(3);
  split.set_longest(3);
  write_index(folder, index);
}

TEST(SampleParts, RefusesPartsThatContradictTheSample) {
  const std::vector<std::uint8_t> label(4, 0);
  const auto load = [&](std::int32_t first_length) {
    const TemporaryFolder folder;
    write_by_hand(folder.path(), LabelKind::kClass, true, label, first_length);
    const Dataset train = Dataset::open(folder.path(), "train");
    return train.sample(0).first_length;
  };
  EXPECT_EQ(load(3), 3);
  EXPECT_THAT([&] { load(4); }, ThrowsMessage<DataError>(HasSubstr("1 to 3 tokens, found 4")));
  EXPECT_THAT([&] { load(0); }, ThrowsMessage<DataError>(HasSubstr("\"first_length\"")));
  EXPECT_THAT([&] { load(-1); }, ThrowsMessage<DataError>(HasSubstr("found -1")));
}

TEST(SampleParts, RefusesScoresThatAreNoNumbers) {
  for (const float score : {std::nanf(""), std::numeric_limits<float>::infinity(), 1e6F}) {
    const TemporaryFolder folder;
    write_by_hand(folder.path(), LabelKind::kScore, false,
                  {reinterpret_cast<const std::uint8_t*>(&score), sizeof score}, 0);
    const Dataset train = Dataset::open(folder.path(), "train");
    EXPECT_THAT([&] { static_cast<void>(train.sample(0)); },
                ThrowsMessage<DataError>(HasSubstr("column \"score\"")));
    EXPECT_THAT(verify_dataset(folder.path()).problems, ::testing::Not(IsEmpty()));
  }
}

TEST(SampleParts, SkippedRowsAreListedInTheIndex) {
  const TemporaryFolder folder;
  DatasetWriter writer(folder.path(), description(LabelKind::kNone));
  writer.add(0, {.tokens16 = kTokens});
  const SkippedRow row{.file = "train.tsv", .line = 2, .reason = "expected 6 fields, found 5"};
  writer.finish({row});
  EXPECT_THAT(inspect_dataset(folder.path()).skipped, ElementsAre(row));
}

}  // namespace
}  // namespace sbm::data
