#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "data/build.h"
#include "data/inspect.h"
#include "data/verify.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

class RetrievalTask : public ::testing::Test {
 protected:
  BuildRequest request() const {
    BuildRequest request;
    request.task = "lra/retrieval";
    request.source = folder_.path();
    request.out = folder_.path() / "data";
    return request;
  }
  void write(const std::string& train) const {
    write_text(folder_.path() / "new_aan_pairs.train.tsv", train);
    write_text(folder_.path() / "new_aan_pairs.eval.tsv", "0\ta\tb\tonly\tone");
    write_text(folder_.path() / "new_aan_pairs.test.tsv", "1\ta\tb\t\"quoted\tend\"\n");
  }

  TemporaryFolder folder_;
};

TEST_F(RetrievalTask, TwoDocumentsEachCutByItself) {
  write("1.0\tP1\tP2\tfirst text\tsecond\n0.0\tP1\tP3\tab\tthe longest\n");
  BuildRequest build = request();
  build.max_length = 6;
  build_dataset(build);
  EXPECT_THAT(verify_dataset(build.out).problems, IsEmpty());
  const Dataset train = Dataset::open(build.out, "train");
  EXPECT_TRUE(train.pairs());
  EXPECT_EQ(train.longest(), 12);
  const SampleView first = train.sample(0);
  EXPECT_EQ(std::string(first.tokens8.begin(), first.tokens8.end()), "first second");
  EXPECT_EQ(first.first_length, 6);
  EXPECT_EQ(first.label, 1);
  const Batch batch = collate(train, std::vector<std::uint64_t>{1}, 64, 1);
  EXPECT_THAT(batch.first_lengths, ElementsAre(2));
  EXPECT_THAT(batch.lengths, ElementsAre(8));
  EXPECT_EQ(batch.tokens[0], 'a' + 1);
  EXPECT_THAT(batch.labels, ElementsAre(0));
  // Quotation marks are text.
  const Dataset test = Dataset::open(build.out, "test");
  const SampleView quoted = test.sample(0);
  EXPECT_EQ(std::string(quoted.tokens8.begin(), quoted.tokens8.end()), "\"quoteend\"");
}

TEST_F(RetrievalTask, KeepsFourThousandBytesUnlessTold) {
  write("1\ta\tb\t" + std::string(5000, 'x') + "\t" + std::string(3999, 'y') + "\n");
  build_dataset(request());
  const Dataset train = Dataset::open(request().out, "train");
  const SampleView sample = train.sample(0);
  EXPECT_EQ(sample.first_length, 4000);
  EXPECT_EQ(sample.length(), 7999);
}

TEST_F(RetrievalTask, SaysWhichRowIsBad) {
  const std::string good = "1\ta\tb\tx\ty\n";
  const struct {
    const char* row;
    const char* problem;
  } kCases[] = {
      {"1\ta\tb\tx\n", "train.tsv:2: expected 5 fields (label, id, id, text, text), found 4"},
      {"1\ta\tb\tx\ty\tz\n", "train.tsv:2: expected 5 fields (label, id, id, text, text), found 6"},
      {"\n", "found 1"},
      {"0.5\ta\tb\tx\ty\n", "expected the label 0 or 1, found \"0.5\""},
      {"yes\ta\tb\tx\ty\n", "found \"yes\""},
      {"\ta\tb\tx\ty\n", "found \"\""},
      {"1\ta\tb\t\ty\n", "an empty one"},
      {"1\ta\tb\tx\t\n", "an empty one"},
  };
  for (const auto& bad : kCases) {
    write(good + bad.row + good);
    EXPECT_THAT([&] { build_dataset(request()); },
                ThrowsMessage<DataError>(HasSubstr(bad.problem)));
    BuildRequest skipping = request();
    skipping.skip_bad_rows = 1;
    const BuildReport report = build_dataset(skipping);
    EXPECT_EQ(report.splits[0].samples, 2U);
    EXPECT_EQ(report.skipped.size(), 1U);
    std::filesystem::remove_all(skipping.out);
  }
}

TEST_F(RetrievalTask, SaysWhatIsMissing) {
  EXPECT_THAT([&] { build_dataset(request()); },
              ThrowsMessage<DataError>(HasSubstr("new_aan_pairs.train.tsv")));
  write("1\ta\tb\tx\ty\n");
  std::filesystem::remove(folder_.path() / "new_aan_pairs.eval.tsv");
  EXPECT_THAT([&] { build_dataset(request()); },
              ThrowsMessage<DataError>(HasSubstr("new_aan_pairs.eval.tsv")));
}

}  // namespace
}  // namespace sbm::data
