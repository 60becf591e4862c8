// What is wrong with the rows and files of GLUE is said, skipped or kept in place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "data/glue_reader.h"
#include "data/inspect.h"
#include "data/random_words.h"
#include "tests/data/glue_fixtures.h"

namespace sbm::data {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(GlueRows, SaysWhatARowLacks) {
  const GlueFixture fixture("glue/qqp");
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"9\t1\t2\tthe\tcat 0", "expected 6 fields, found 5"},
      {"9\t1\t2\tthe\tcat\t0\tmore", "expected 6 fields, found 7"},
      {"", "expected 6 fields, found 1"},
      {"9\t1\t2\tthe\tcat\t2", "expected a label among 0, 1, found \"2\""},
      {"9\t1\t2\tthe\tcat\t", "found \"\""},
  };
  for (const auto& [row, reason] : rows) {
    put_qqp(fixture, row + "\n9\t1\t2\tcat\tsat\t0\n");
    BuildRequest request = fixture.request();
    EXPECT_THAT([&] { build_dataset(request); },
                ThrowsMessage<DataError>(AllOf(HasSubstr("train.tsv:3:"), HasSubstr(reason))));
    request.skip_bad_rows = 1;
    const BuildReport report = build_dataset(request);
    ASSERT_EQ(report.skipped.size(), 1U);
    EXPECT_EQ(report.skipped[0].line, 3U);
    EXPECT_THAT(report.skipped[0].reason, HasSubstr(reason));
    EXPECT_EQ(samples(fixture.out(), "train"),
              (std::vector<GlueSample>{{kTheCat, 3, 1}, {kCatSat, 3, 0}}));
    std::filesystem::remove_all(fixture.out());
  }
  put_qqp(fixture, "x\nx\n");
  BuildRequest request = fixture.request();
  request.skip_bad_rows = 1;
  EXPECT_THAT([&] { build_dataset(request); }, ThrowsMessage<DataError>(HasSubstr("train.tsv:4:")));
}

// The server wants an answer for every row of a test file, by its number.
TEST(GlueRows, KeepsThePlacesOfTestRows) {
  const GlueFixture fixture("glue/qqp");
  put_qqp(fixture);
  fixture.put("test.tsv", "id\tquestion1\tquestion2\n0\tthe\tcat\n1\tthe cat\n2\tcat\tsat\n");
  BuildRequest request = fixture.request();
  request.skip_bad_rows = 1;
  EXPECT_EQ(build_dataset(request).skipped.size(), 1U);
  EXPECT_EQ(samples(fixture.out(), "test"),
            (std::vector<GlueSample>{{kTheCat, 3}, {{2, 3, 3}, 2}, {kCatSat, 3}}));
  request.out += "2";
  for (const char* number : {"2", "-1", "x", "", "1.0"}) {
    fixture.put("test.tsv",
                std::string("id\tquestion1\tquestion2\n0\tthe\tcat\n") + number + "\tcat\tsat\n");
    request.skip_bad_rows = 0;
    EXPECT_THAT([&] { build_dataset(request); },
                ThrowsMessage<DataError>(AllOf(HasSubstr("test.tsv:3:"), HasSubstr("number"))));
  }
}

TEST(GlueRows, RefusesOtherFiles) {
  const GlueFixture fixture("glue/qqp");
  const auto expect_refused = [&](const std::string& reason) {
    EXPECT_THAT([&] { build_dataset(fixture.request()); },
                ThrowsMessage<DataError>(HasSubstr(reason)));
  };
  expect_refused("train.tsv");  // missing
  put_qqp(fixture);
  fixture.put("dev.tsv", "9\t1\t2\tthe\tcat\t1\n");
  expect_refused("dev.tsv:1: expected a header whose field 4 is \"question1\", found \"the\"");
  fixture.put("dev.tsv", "sentence\tlabel\nthe\t1\n");
  expect_refused("dev.tsv:1: expected a header of 6 fields, found 2");
  fixture.put("dev.tsv", "");
  expect_refused("dev.tsv: expected rows, found none");
  fixture.put("dev.tsv", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n");
  expect_refused("dev.tsv: expected rows, found none");
  put_qqp(fixture, "9\t1\t2\tthe\t" + std::string(2 << 20, 'x') + "\t0\n");
  expect_refused("train.tsv:3: expected a line of at most");
}

// Whatever a file holds, a row is good, bad, or the file is refused.
TEST(GlueRows, SurvivesDamage) {
  const GlueFixture fixture("glue/mrpc");
  put_mrpc(fixture);
  const auto bytes = read_bytes(fixture.source() / "train.tsv");
  const GlueTask& task = glue_tasks()[2];
  ASSERT_EQ(task.name, "glue/mrpc");
  const WordPieceTokenizer tokenizer(tiny_vocabulary());
  const TextEncoder encoder(tokenizer, 16);
  int good = 0;
  int bad = 0;
  int refused = 0;
  const auto read = [&](std::span<const std::uint8_t> contents) {
    write_bytes(fixture.source() / "train.tsv", contents);
    try {
      read_glue(
          fixture.source(), task, task.files[0], encoder, nullptr, 1,
          [&](GlueRow& row) {
            ASSERT_TRUE(row.label == 0 || row.label == 1);
            ASSERT_LE(row.text.tokens.size(), 16U);
            ++good;
          },
          [&](const auto&, std::uint64_t, const std::string&) { ++bad; });
    } catch (const DataError&) {
      ++refused;
    }
  };
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const int flip : {0x01, 0x03, 0x80, 0xff}) {
      auto damaged = bytes;
      damaged[at] ^= static_cast<std::uint8_t>(flip);
      read(damaged);
    }
    read(std::span(bytes).first(at));
  }
  RandomWords random(5);
  for (int trial = 0; trial < 200; ++trial) {
    // Garbage behind a sound header.
    auto damaged = std::vector<std::uint8_t>(bytes.begin(), bytes.begin() + 45);
    for (std::uint32_t n = random.below(300); n > 0; --n) {
      damaged.push_back(static_cast<std::uint8_t>(random.below(3) == 0 ? '\t' : random.below(256)));
    }
    read(damaged);
  }
  EXPECT_GT(good, 100);
  EXPECT_GT(bad, 100);
  EXPECT_GT(refused, 100);
}

TEST(GlueRows, AsksForWhatItNeeds) {
  const GlueFixture fixture("glue/cola");
  BuildRequest request = fixture.request();
  request.vocabulary.clear();
  EXPECT_THAT([&] { build_dataset(request); }, ThrowsMessage<ConfigError>(HasSubstr("vocabulary")));
  request = fixture.request();
  request.source.clear();
  EXPECT_THAT([&] { build_dataset(request); }, ThrowsMessage<ConfigError>(HasSubstr("source")));
}

TEST(GlueRows, TheRecipeTellsVocabulariesApart) {
  const GlueFixture fixture("glue/sst-2");
  fixture.put("train.tsv", "sentence\tlabel\nthe\t1\n");
  fixture.put("dev.tsv", "sentence\tlabel\nthe\t1\n");
  fixture.put("test.tsv", "index\tsentence\n0\tthe\n");
  BuildRequest request = fixture.request();
  build_dataset(request);
  EXPECT_TRUE(build_dataset(request).reused);
  const DatasetRecipe recipe = inspect_dataset(fixture.out()).recipe;
  EXPECT_THAT(recipe.sources, ::testing::Contains(tiny_vocabulary().source()));
  EXPECT_THAT(recipe.parameters,
              ::testing::Contains(std::pair<std::string, std::string>("max_length", "128")));
  request.lower_case = false;
  EXPECT_THROW(build_dataset(request), ConfigError);
  request.lower_case = true;
  write_text(fixture.vocabulary(), tiny_vocabulary_text() + "more\n");
  EXPECT_THAT([&] { build_dataset(request); }, ThrowsMessage<ConfigError>(HasSubstr("vocabulary")));
}

}  // namespace
}  // namespace sbm::data
