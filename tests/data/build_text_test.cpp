#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "data/build.h"
#include "data/held_out.h"
#include "data/inspect.h"
#include "data/verify.h"
#include "tests/data/shared_data.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

const std::string kHeader = "path\tlabel\ttext\n";

std::string row(const std::string& label, const std::string& text) {
  return "aclImdb/x.txt\t" + label + "\t" + text + "\n";
}

std::string text_of(const Dataset& dataset, std::uint64_t id) {
  const auto tokens = dataset.sample(id).tokens8;
  return {tokens.begin(), tokens.end()};
}

std::multiset<std::pair<std::int32_t, std::string>> contents(const std::filesystem::path& folder,
                                                             const std::string& split) {
  std::multiset<std::pair<std::int32_t, std::string>> all;
  const Dataset dataset = Dataset::open(folder, split);
  for (std::uint64_t id = 0; id < dataset.size(); ++id) {
    all.emplace(dataset.sample(id).label, text_of(dataset, id));
  }
  return all;
}

class TextTask : public ::testing::Test {
 protected:
  BuildRequest request(const std::string& out) const {
    BuildRequest request;
    request.task = "lra/text";
    request.source = source();
    request.out = folder_.path() / out;
    request.threads = 2;
    return request;
  }
  [[nodiscard]] std::filesystem::path source() const { return folder_.path() / "source"; }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((source() / name).parent_path());
    write_text(source() / name, text);
  }
  void write_tables() const {
    std::string train = kHeader;
    for (int i = 0; i < 200; ++i) {
      train += row(i % 2 == 0 ? "1" : "0", "review " + std::to_string(i % 190));
    }
    write("train.tsv", train);
    write("test.tsv", kHeader + row("0", "dull\tand long \xC3\xA9") + row("1", "review 4") +
                          row("1", "review 4"));
  }

  TemporaryFolder folder_;
};

TEST_F(TextTask, BytesLabelsAndDuplicatesOfTables) {
  write_tables();
  BuildRequest build = request("data");
  const BuildReport report = build_dataset(build);
  EXPECT_THAT(verify_dataset(build.out).problems, IsEmpty());
  EXPECT_EQ(report.splits[0].samples + report.splits[1].samples, 200U);
  EXPECT_EQ(report.splits[2].samples, 3U);
  EXPECT_THAT(report.notes, ElementsAre(HasSubstr("10 texts of train and 1 of test")));
  EXPECT_THAT(report.notes, ElementsAre(HasSubstr("2 texts of test are in train")));
  const Dataset test = Dataset::open(build.out, "test");
  EXPECT_EQ(text_of(test, 0), "dull\tand long \xC3\xA9");
  EXPECT_EQ(test.sample(0).label, 0);
  EXPECT_EQ(test.sample(1).label, 1);
  EXPECT_EQ(test.vocabulary_size(), 257);
  const Batch batch = collate(test, std::vector<std::uint64_t>{0}, 5, 1);
  EXPECT_THAT(batch.tokens, ElementsAre('d' + 1, 'u' + 1, 'l' + 1, 'l' + 1, '\t' + 1));
  EXPECT_EQ(collate(test, std::vector<std::uint64_t>{0}, 64, 1).tokens.back(), 0xA9 + 1);
}

TEST_F(TextTask, HoldsOutByContentAndSeed) {
  write_tables();
  BuildRequest build = request("a");
  build.text.validation_share = 0.3;
  build_dataset(build);
  const auto train = contents(build.out, "train");
  const auto validation = contents(build.out, "validation");
  // 190 distinct texts; the false alarm rate of 4 standard deviations is 6e-5.
  EXPECT_NEAR(static_cast<double>(validation.size()), 60, 27);
  for (const auto& sample : validation) EXPECT_FALSE(train.contains(sample)) << sample.second;
  BuildRequest other = build;
  other.out = folder_.path() / "b";
  other.seed = 1;
  build_dataset(other);
  EXPECT_NE(contents(other.out, "validation"), validation);
  other.out = folder_.path() / "c";
  other.text.validation_share = 0;
  EXPECT_EQ(build_dataset(other).splits[1].samples, 0U);
  other.text.validation_share = 0.95;
  EXPECT_THROW(build_dataset(other), ConfigError);
}

TEST_F(TextTask, TheShareThatIsHeldOutIsTheOneAskedFor) {
  int held_out = 0;
  for (std::uint64_t i = 0; i < 40000; ++i) {
    held_out += is_held_out(3, {.high = i * i, .low = i}, 0.1) ? 1 : 0;
  }
  // Binomial, standard deviation 60; 4.4 of them: false alarm rate 1e-5.
  EXPECT_NEAR(held_out, 4000, 264);
}

TEST_F(TextTask, TheOddPublishedValidationIsTheTestSet) {
  write_tables();
  BuildRequest build = request("data");
  build.text.validation_is_test = true;
  const BuildReport report = build_dataset(build);
  EXPECT_EQ(report.splits[0].samples, 200U);
  EXPECT_EQ(contents(build.out, "validation"), contents(build.out, "test"));
}

TEST_F(TextTask, FoldersAndTablesMakeTheSameSplits) {
  write_tables();
  BuildRequest tables = request("tables");
  build_dataset(tables);
  std::filesystem::remove_all(source());
  for (int i = 0; i < 200; ++i) {
    write(std::string("aclImdb/train/") + (i % 2 == 0 ? "pos/" : "neg/") + std::to_string(i) +
              "_7.txt",
          "review " + std::to_string(i % 190));
  }
  write("aclImdb/train/urls_pos.txt", "http");
  write("aclImdb/test/neg/0_2.txt", "dull\tand long \xC3\xA9");
  write("aclImdb/test/pos/0_9.txt", "review 4");
  write("aclImdb/test/pos/1_9.txt", "review 4");
  BuildRequest folders = request("folders");
  build_dataset(folders);
  for (const char* split : {"train", "validation", "test"}) {
    EXPECT_EQ(contents(folders.out, split), contents(tables.out, split)) << split;
  }
  folders.threads = 1;
  EXPECT_TRUE(build_dataset(folders).reused);
  write("aclImdb/test/pos/1_9.txt", "review 5");
  EXPECT_THAT([&] { build_dataset(folders); },
              ThrowsMessage<ConfigError>(HasSubstr("test/pos (2 files) had other contents")));
}

TEST_F(TextTask, ReviewsInFoldersAreOrderedByNumber) {
  for (const char* name : {"10_1", "9_1", "2_4"}) {
    write(std::string("train/neg/") + name + ".txt", name);
  }
  for (const char* folder : {"train/pos", "test/neg", "test/pos"}) {
    write(std::string(folder) + "/0_1.txt", folder);
  }
  BuildRequest build = request("data");
  build.text.validation_share = 0;
  build.max_length = 3;
  build_dataset(build);
  const Dataset train = Dataset::open(build.out, "train");
  EXPECT_EQ(text_of(train, 0), "2_4");
  EXPECT_EQ(text_of(train, 1), "9_1");
  EXPECT_EQ(text_of(train, 2), "10_");
  EXPECT_EQ(text_of(train, 3), "tra");
}

TEST_F(TextTask, SaysWhichRowIsBad) {
  const struct {
    const char* row;
    const char* problem;
  } kCases[] = {
      {"aclImdb/x.txt 1 text\n", "train.tsv:3: expected 3 fields (path, label, text), found 1"},
      {"aclImdb/x.txt\t1\n", "train.tsv:3: expected 3 fields (path, label, text), found 2"},
      {"x\t-1\ttext\n", "train.tsv:3: expected the label 0 or 1, found \"-1\""},
      {"x\t10\ttext\n", "expected the label 0 or 1, found \"10\""},
      {"x\t1\t\n", "expected a text, found an empty one"},
      {"\n", "found 1"},
  };
  for (const auto& bad : kCases) {
    write("train.tsv", kHeader + row("1", "good") + bad.row + row("0", "fine"));
    write("test.tsv", kHeader + row("1", "good"));
    BuildRequest build = request("data");
    EXPECT_THAT([&] { build_dataset(build); }, ThrowsMessage<DataError>(HasSubstr(bad.problem)));
    EXPECT_FALSE(std::filesystem::exists(build.out));
  }
  write("train.tsv", kHeader + row("1", std::string((1 << 20) + 1, 'x')));
  EXPECT_THAT([&] { build_dataset(request("data")); },
              ThrowsMessage<DataError>(HasSubstr("at most 1048576 bytes, found 1048577")));
}

TEST_F(TextTask, AByteOrderMarkMayComeFirst) {
  write("train.tsv", "\xef\xbb\xbf" + kHeader + row("1", "good"));
  write("test.tsv", kHeader + row("1", "good"));
  EXPECT_EQ(build_dataset(request("data")).splits[2].samples, 1U);
}

TEST_F(TextTask, SkipsAsManyBadRowsAsAllowed) {
  write("train.tsv", kHeader + row("2", "bad") + row("1", "good") + "worse\n");
  write("test.tsv", kHeader + row("1", "good"));
  BuildRequest build = request("data");
  build.skip_bad_rows = 1;
  EXPECT_THAT([&] { build_dataset(build); },
              ThrowsMessage<DataError>(::testing::AllOf(HasSubstr("train.tsv:4"),
                                                        HasSubstr("at most 1 bad rows"),
                                                        HasSubstr("the first was train.tsv:2"))));
  build.skip_bad_rows = 2;
  const BuildReport report = build_dataset(build);
  ASSERT_EQ(report.skipped.size(), 2U);
  EXPECT_EQ(report.skipped[1].file, "train.tsv");
  EXPECT_EQ(report.skipped[1].line, 4U);
  EXPECT_EQ(build_dataset(build).skipped, report.skipped);
}

TEST_F(TextTask, FilesThatAreSkippedAreNamedByTheirFolders) {
  for (const char* folder : {"train/pos", "train/neg", "test/neg", "test/pos"}) {
    write(std::string("aclImdb/") + folder + "/0_1.txt", folder);
  }
  write("aclImdb/train/neg/1_1.txt", "");
  write("aclImdb/test/pos/1_1.txt", "");
  BuildRequest build = request("data");
  build.text.validation_share = 0;
  build.skip_bad_rows = 1;
  EXPECT_THAT([&] { build_dataset(build); },
              ThrowsMessage<DataError>(::testing::AllOf(
                  HasSubstr("aclImdb/test/pos/1_1.txt: expected a text, found an empty one\n"),
                  ::testing::EndsWith("the first was aclImdb/train/neg/1_1.txt"))));
  build.skip_bad_rows = 2;
  const BuildReport report = build_dataset(build);
  ASSERT_EQ(report.skipped.size(), 2U);
  EXPECT_EQ(report.skipped[0].file, "aclImdb/train/neg/1_1.txt");
  EXPECT_EQ(report.skipped[1].file, "aclImdb/test/pos/1_1.txt");
}

TEST_F(TextTask, SaysWhatIsMissing) {
  std::filesystem::create_directories(source());
  EXPECT_THAT([&] { build_dataset(request("data")); },
              ThrowsMessage<DataError>(HasSubstr("expected the folder train/pos")));
  write("train.tsv", "text\tlabel\n");
  write("test.tsv", kHeader);
  EXPECT_THAT([&] { build_dataset(request("data")); },
              ThrowsMessage<DataError>(HasSubstr("train.tsv:1: expected the header")));
  BuildRequest without = request("data");
  without.source.clear();
  EXPECT_THAT([&] { build_dataset(without); },
              ThrowsMessage<ConfigError>(HasSubstr("expected a source folder")));
}

TEST_F(TextTask, TheRealReviews) {
  std::filesystem::create_directories(source());
  for (const char* name : {"train.tsv", "test.tsv"}) {
    const std::string missing = unpack_shared(std::string("imdb/") + name, source() / name);
    if (!missing.empty()) GTEST_SKIP() << missing;
  }
  const BuildReport report = build_dataset(request("data"));
  EXPECT_EQ(report.splits[0].samples + report.splits[1].samples, 25000U);
  EXPECT_EQ(report.splits[2].samples, 25000U);
  EXPECT_THAT(report.notes,
              Contains("duplicates: 96 texts of train and 199 of test repeat an earlier one; 123 "
                       "texts of test are in train, too"));
  EXPECT_THAT(verify_dataset(report.folder).problems, ::testing::IsEmpty());
  const DatasetSummary summary = inspect_dataset(report.folder);
  EXPECT_EQ(summary.splits[2].label_counts[0], 12500U);
  EXPECT_EQ(std::max(summary.splits[0].lengths.max, summary.splits[1].lengths.max), 13704);
  EXPECT_EQ(std::min(summary.splits[0].lengths.min, summary.splits[1].lengths.min), 52);
}

}  // namespace
}  // namespace sbm::data
