#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/content_hash.h"
#include "base/error.h"
#include "data/dataset.h"
#include "data/dataset_index.h"
#include "data/shard_writer.h"
#include "data/verify.h"
#include "tests/data/fixtures.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::vector<std::filesystem::path> files_of(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  return files;
}

// What a training run would do: open, and read every sample. False when it is refused.
bool reads_without_error(const std::filesystem::path& folder) {
  try {
    const Dataset train = Dataset::open(folder, "train");
    for (std::uint64_t i = 0; i < train.size(); ++i) (void)train.sample(i);
    return true;
  } catch (const DataError&) {
    return false;
  }
}

TEST(Verify, ASoundDataSetHasNoProblems) {
  const TemporaryFolder folder;
  write_class_dataset(folder.path(), 300, 20, 1500);
  const VerifyReport report = verify_dataset(folder.path());
  EXPECT_THAT(report.problems, ::testing::IsEmpty());
  EXPECT_EQ(report.samples, 320U);
  std::uint64_t bytes = 0;
  const auto files = files_of(folder.path());
  for (const auto& file : files) bytes += std::filesystem::file_size(file);
  EXPECT_EQ(report.files, files.size());
  EXPECT_EQ(report.bytes, bytes);
}

// One flipped bit at random positions of every file: verify always finds it. A reader may miss what
// it never reads (padding, the text form), but meets no crash and no wrong sample.
TEST(Verify, FindsEveryFlippedBit) {
  const TemporaryFolder folder;
  write_class_dataset(folder.path(), 200, 10);
  std::mt19937_64 random(1);
  for (const auto& file : files_of(folder.path())) {
    const auto good = read_bytes(file);
    for (int round = 0; round < 300; ++round) {
      const std::size_t at = random() % good.size();
      put_byte(file, at, static_cast<std::uint8_t>(good[at] ^ (1U << random() % 8)));
      ASSERT_FALSE(verify_dataset(folder.path()).problems.empty()) << file << ", byte " << at;
      if (file.filename() == kIndexFile) {
        ASSERT_FALSE(reads_without_error(folder.path())) << "byte " << at;
      } else if (file.extension() == ".sbm") {
        (void)reads_without_error(folder.path());
      }
      put_byte(file, at, good[at]);
    }
  }
  EXPECT_TRUE(verify_dataset(folder.path()).problems.empty());
}

TEST(Verify, FindsEveryTruncation) {
  const TemporaryFolder folder;
  write_class_dataset(folder.path(), 200, 10);
  for (const auto& file : files_of(folder.path())) {
    const auto good = read_bytes(file);
    for (std::size_t length = good.size(); length > 0;) {
      length -= std::min(length, 1 + good.size() / 60);
      std::filesystem::resize_file(file, length);
      ASSERT_FALSE(verify_dataset(folder.path()).problems.empty()) << file << ", " << length;
    }
    write_bytes(file, good);
  }
}

TEST(Verify, ListsAllProblemsAtOnce) {
  const TemporaryFolder folder;
  write_class_dataset(folder.path(), 300, 300, 1500);
  auto bytes = read_bytes(folder.path() / "train/shard-00001.sbm");
  bytes[5000] ^= 4;
  write_bytes(folder.path() / "train/shard-00001.sbm", bytes);
  std::filesystem::remove(folder.path() / "test/shard-00000.sbm");
  write_text(folder.path() / "train/shard-00099.sbm", "left over");
  write_text(folder.path() / "index.textproto", "other");
  const auto problems = verify_dataset(folder.path()).problems;
  EXPECT_THAT(problems, Contains(HasSubstr("train/shard-00001.sbm: bytes 0 to ")));
  EXPECT_THAT(problems, Contains(HasSubstr("test/shard-00000.sbm: cannot open")));
  EXPECT_THAT(problems, Contains(HasSubstr("shard-00099.sbm: does not belong")));
  EXPECT_THAT(problems, Contains(HasSubstr("index.textproto: expected the text form")));
}

TEST(Verify, AMissingDataSetIsAProblem) {
  const TemporaryFolder folder;
  EXPECT_THAT(verify_dataset(folder.path()).problems, Contains(HasSubstr("found none")));
}

TEST(Verify, AShardOfAnotherDataSetIsFound) {
  const TemporaryFolder folder;
  write_class_dataset(folder.path() / "a", 200, 10);
  write_class_dataset(folder.path() / "b", 201, 10);
  std::filesystem::copy_file(folder.path() / "b/train/shard-00000.sbm",
                             folder.path() / "a/train/shard-00000.sbm",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT([&] { Dataset::open(folder.path() / "a", "train"); },
              ThrowsMessage<DataError>(HasSubstr("the index expects 200 samples")));
  EXPECT_FALSE(verify_dataset(folder.path() / "a").problems.empty());
}

// Writes an index with sound checksums but other contents.
void forge_index(const std::filesystem::path& folder,
                 const std::function<void(DatasetIndex&)>& change) {
  DatasetIndex index = read_index(folder).index;
  change(index);
  IndexFile file;
  file.set_index(index.SerializeAsString());
  file.set_xxh3_128(content_hash(file.index()).hex());
  write_text(folder / kIndexFile, file.SerializeAsString());
}

TEST(Index, ContradictionsAreRefused) {
  const TemporaryFolder folder;
  write_class_dataset(folder.path(), 300, 20, 1500);
  const auto good = read_bytes(folder.path() / kIndexFile);
  const auto refused = [&](const char* message, const std::function<void(DatasetIndex&)>& change) {
    forge_index(folder.path(), change);
    EXPECT_THAT([&] { Dataset::open(folder.path(), "train"); },
                ThrowsMessage<DataError>(HasSubstr(message)));
    EXPECT_FALSE(verify_dataset(folder.path()).problems.empty());
    write_bytes(folder.path() / kIndexFile, good);
  };
  const auto train = [](DatasetIndex& index) { return index.mutable_splits(0); };
  refused("expected index version 1, found 2", [](auto& index) { index.set_version(2); });
  refused("no task", [](auto& index) { index.mutable_recipe()->clear_task(); });
  refused("vocabulary", [](auto& index) { index.set_vocabulary_size(0); });
  refused("vocabulary", [](auto& index) { index.set_vocabulary_size(-5); });
  refused("vocabulary", [](auto& index) { index.set_vocabulary_size(65537); });
  refused("expected the columns", [](auto& index) { index.set_vocabulary_size(257); });
  refused("unknown kind of label 9", [](auto& index) { index.set_label_kind(9); });
  refused("label names", [](auto& index) { index.clear_label_names(); });
  refused("unlabelled", [](auto& index) { index.set_label_kind(0); });
  refused("expected the columns", [](auto& index) { index.set_label_kind(2); });
  refused("occurs twice", [](auto& index) { index.mutable_splits(1)->set_name("train"); });
  refused("no name", [](auto& index) { index.mutable_splits(1)->set_name("../test"); });
  refused("expected shard",
          [&](auto& index) { train(index)->mutable_shards(0)->set_file("../../elsewhere.sbm"); });
  refused("has no samples", [&](auto& index) { train(index)->mutable_shards(0)->set_samples(0); });
  refused("do not fit",
          [&](auto& index) { train(index)->mutable_shards(0)->set_samples(~std::uint64_t{0}); });
  refused("expected 301 samples", [&](auto& index) { train(index)->set_samples(301); });
  refused("cannot have", [&](auto& index) { train(index)->set_tokens(1); });
  refused("cannot have", [&](auto& index) { train(index)->set_longest(~std::uint64_t{0}); });
  refused("the index expects", [&](auto& index) { train(index)->mutable_shards(0)->set_bytes(1); });
  refused("the index expects",
          [&](auto& index) { train(index)->mutable_shards(0)->set_xxh3_128("00"); });
  refused("its shards have", [&](auto& index) { train(index)->mutable_shards()->RemoveLast(); });
  EXPECT_TRUE(verify_dataset(folder.path()).problems.empty());
}

// Found when the samples are read, since the index and each shard alone are sound.
TEST(Index, FalseStatisticsAreFound) {
  const TemporaryFolder folder;
  write_class_dataset(folder.path(), 300, 20);
  const auto good = read_bytes(folder.path() / kIndexFile);
  forge_index(folder.path(), [](auto& index) { index.mutable_splits(0)->set_longest(22); });
  EXPECT_FALSE(reads_without_error(folder.path()));
  EXPECT_THAT(verify_dataset(folder.path()).problems, Contains(HasSubstr("expected 1 to 22")));
  write_bytes(folder.path() / kIndexFile, good);
  forge_index(folder.path(), [](auto& index) { index.mutable_splits(0)->set_tokens(9999); });
  EXPECT_THAT(verify_dataset(folder.path()).problems, Contains(HasSubstr("expects 9999 tokens")));
  write_bytes(folder.path() / kIndexFile, good);
  forge_index(folder.path(), [](auto& index) { index.mutable_label_names()->RemoveLast(); });
  EXPECT_FALSE(reads_without_error(folder.path()));
  EXPECT_THAT(verify_dataset(folder.path()).problems,
              Contains(HasSubstr("column \"label\", element 2: expected a value from 0 to 1")));
  write_bytes(folder.path() / kIndexFile, good);
  forge_index(folder.path(), [](auto& index) { index.set_vocabulary_size(20); });
  EXPECT_FALSE(reads_without_error(folder.path()));
}

TEST(Index, AsManyLabelsAsTokens) {
  const TemporaryFolder folder;
  write_token_dataset(folder.path(), 5);
  ShardWriter writer({{.name = "tokens", .type = ElementType::kU16, .width = 0},
                      {.name = "token_labels", .type = ElementType::kU8, .width = 0}});
  writer.append(0, std::vector<std::uint8_t>{1, 0, 2, 0});
  writer.append(1, std::vector<std::uint8_t>{1});
  writer.end_sample();
  const ShardSummary summary = writer.write(folder.path() / "train/shard-00000.sbm");
  forge_index(folder.path(), [&](DatasetIndex& index) {
    Split& split = *index.mutable_splits(0);
    split.set_samples(1);
    split.set_tokens(2);
    split.set_longest(2);
    split.mutable_shards(0)->set_samples(1);
    split.mutable_shards(0)->set_bytes(summary.bytes);
    split.mutable_shards(0)->set_xxh3_128(summary.content.hex());
  });
  EXPECT_THAT(verify_dataset(folder.path()).problems,
              Contains(HasSubstr("row 0: expected 2 labels, one a token, found 1")));
}

TEST(Index, ForeignFilesAreRefused) {
  const TemporaryFolder folder;
  write_class_dataset(folder.path(), 5, 5);
  auto longer = read_bytes(folder.path() / kIndexFile);
  longer.insert(longer.end(), {0x18, 0x01});  // a field 3 that nobody knows
  write_bytes(folder.path() / kIndexFile, longer);
  EXPECT_THROW(read_index(folder.path()), DataError);
  for (const std::string& text :
       {std::string(), std::string("hello"), std::string(1000, '\0'), std::string(1000, '\x7f')}) {
    write_text(folder.path() / kIndexFile, text);
    EXPECT_THROW(read_index(folder.path()), DataError);
  }
}

}  // namespace
}  // namespace sbm::data
