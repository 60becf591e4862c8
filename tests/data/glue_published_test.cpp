// The published files of CoLA, SST-2, MRPC and a part of QQP, where they are beside the sources.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/build.h"
#include "data/dataset.h"
#include "data/inspect.h"
#include "data/verify.h"
#include "tests/data/shared_data.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

class PublishedGlueTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(shared_ / "glue")) GTEST_SKIP() << "no folder " << shared_;
  }

  BuildRequest request(const std::string& task, const std::filesystem::path& source) const {
    BuildRequest request;
    request.task = task;
    request.source = source;
    request.vocabulary = shared_ / "bert" / "vocab.txt";
    request.out = folder_.path() / "out";
    request.threads = 2;
    return request;
  }

  // Builds, verifies, and returns the summary of every split.
  DatasetSummary build(const std::string& task, const std::string& source) const {
    build_dataset(request(task, shared_ / "glue" / source));
    EXPECT_THAT(verify_dataset(folder_.path() / "out").problems, IsEmpty());
    return inspect_dataset(folder_.path() / "out");
  }

  static std::vector<std::uint64_t> counts(const DatasetSummary& summary) {
    std::vector<std::uint64_t> all;
    for (const SplitSummary& split : summary.splits) all.push_back(split.samples);
    return all;
  }

  const std::filesystem::path shared_ = shared_data();
  TemporaryFolder folder_;
};

// The lengths were measured on the published tokenizer.
TEST_F(PublishedGlueTest, CoLA) {
  const DatasetSummary summary = build("glue/cola", "CoLA");
  EXPECT_THAT(counts(summary), ElementsAre(8551, 1043, 1063));
  EXPECT_NEAR(summary.splits[0].lengths.mean, 11.4, 0.1);
  EXPECT_EQ(summary.splits[0].lengths.max, 47U);
  EXPECT_THAT(summary.splits[0].label_counts, ElementsAre(2528, 6023));
  EXPECT_FALSE(summary.splits[2].labelled);
}

TEST_F(PublishedGlueTest, SST2) {
  const DatasetSummary summary = build("glue/sst-2", "SST-2");
  EXPECT_THAT(counts(summary), ElementsAre(67349, 872, 1821));
  EXPECT_THAT(summary.splits[1].label_counts, ElementsAre(428, 444));
}

TEST_F(PublishedGlueTest, MRPCWithTheLabelsOfItsTest) {
  const DatasetSummary summary = build("glue/mrpc", "MRPC");
  EXPECT_THAT(counts(summary), ElementsAre(3668, 408, 1725));
  EXPECT_NEAR(summary.splits[0].lengths.mean, 53.2, 0.1);
  EXPECT_EQ(summary.splits[0].lengths.max, 103U);
  EXPECT_THAT(summary.splits[0].label_counts, ElementsAre(1194, 2474));
  EXPECT_TRUE(summary.splits[2].labelled);
  EXPECT_THAT(summary.splits[2].label_counts, ElementsAre(578, 1147));
}

TEST_F(PublishedGlueTest, APartOfQQPWithItsMalformedRow) {
  const std::filesystem::path source = folder_.path() / "QQP";
  std::filesystem::create_directories(source);
  const std::vector<std::uint8_t> bytes = read_bytes(shared_ / "glue/QQP/partial_23496.tsv");
  const std::string text(bytes.begin(), bytes.end());
  write_text(source / "train.tsv", text);
  std::string header = text.substr(0, text.find('\n') + 1);
  const std::size_t third = text.find('\n', header.size()) + 1;
  write_text(source / "dev.tsv", header + text.substr(third, text.find('\n', third) + 1 - third));
  write_text(source / "test.tsv", "id\tquestion1\tquestion2\n0\tWhy?\tWhy not?\n");
  BuildRequest wanted = request("glue/qqp", source);
  EXPECT_THAT([&] { build_dataset(wanted); },
              ThrowsMessage<DataError>(
                  AllOf(HasSubstr("train.tsv:2:"), HasSubstr("expected 6 fields, found 5"))));
  wanted.skip_bad_rows = 1;
  const BuildReport report = build_dataset(wanted);
  ASSERT_EQ(report.skipped.size(), 1U);
  EXPECT_EQ(report.skipped[0].line, 2U);
  EXPECT_EQ(report.splits[0].samples, 23496U);
  EXPECT_THAT(verify_dataset(wanted.out).problems, IsEmpty());
}

TEST_F(PublishedGlueTest, TheThreadsDoNotMatter) {
  BuildRequest wanted = request("glue/mrpc", shared_ / "glue" / "MRPC");
  wanted.threads = 1;
  const std::string one = build_dataset(wanted).fingerprint;
  wanted.threads = 3;
  wanted.out = folder_.path() / "again";
  EXPECT_EQ(build_dataset(wanted).fingerprint, one);
}

}  // namespace
}  // namespace sbm::data
