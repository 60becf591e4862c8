#include "data/listops_reader.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/listops_evaluator.h"
#include "data/listops_tokens.h"
#include "data/text_lines.h"
#include "tests/data/shared_data.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class ListOpsReaderTest : public ::testing::Test {
 protected:
  std::vector<ListOpsRow> read(const std::string& text, ListOpsFormat format) {
    write_text(path_, text);
    std::vector<ListOpsRow> rows;
    read_listops(
        path_, format, [&rows](const ListOpsRow& row) { rows.push_back(row); }, refuse);
    return rows;
  }
  static void refuse(const std::filesystem::path& file, std::uint64_t line,
                     const std::string& reason) {
    throw DataError(fmt::format("{}:{}: {}", file.string(), line, reason));
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "rows.tsv";
};

const std::vector<std::uint8_t> kMax = {kListOpsMax,       kListOpsDigit + 2, kListOpsMin,
                                        kListOpsDigit + 4, kListOpsDigit + 7, kListOpsEnd,
                                        kListOpsDigit,     kListOpsEnd};

TEST_F(ListOpsReaderTest, ReadsThePublishedFormat) {
  const std::string text =
      "Source\tTarget\r\n"
      "( ( ( ( [MAX 2 ) ( ( ( [MIN 4 ) 7 ) ] ) ) 0 ) ] )\t4\r\n"
      "( ( ( [SM 8 ) 9 ) ] )\t7\r\n";
  for (const std::string& variant :
       {text, text.substr(0, text.size() - 2), std::string(text).erase(13, 1)}) {
    const auto rows = read(variant, ListOpsFormat::kLongRangeArena);
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_EQ(rows[0].tokens, kMax);
    EXPECT_EQ(rows[0].label, 4);
    EXPECT_EQ(rows[0].line, 2U);
    EXPECT_EQ(rows[1].tokens, (std::vector<std::uint8_t>{kListOpsSm, kListOpsDigit + 8,
                                                         kListOpsDigit + 9, kListOpsEnd}));
    EXPECT_EQ(rows[1].line, 3U);
  }
  EXPECT_TRUE(read("Source\tTarget\r\n", ListOpsFormat::kLongRangeArena).empty());
}

TEST_F(ListOpsReaderTest, ReadsTheNyuFormat) {
  const auto rows =
      read("4\t( ( ( ( [MAX 2 ) ( ( ( [MIN 4 ) 7 ) ] ) ) 0 ) ] )\n9\t( ( [MED 9 ) ] )\n",
           ListOpsFormat::kNyu);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].tokens, kMax);
  EXPECT_EQ(rows[0].label, 4);
  EXPECT_EQ(rows[1].label, 9);
}

TEST_F(ListOpsReaderTest, ABadRowIsNamedWithFileLineAndReason) {
  const auto refused = [this](const std::string& text, const char* message) {
    EXPECT_THAT(
        [&] { read(text, ListOpsFormat::kLongRangeArena); },
        ThrowsMessage<DataError>(::testing::AllOf(HasSubstr("rows.tsv:"), HasSubstr(message))));
  };
  const std::string header = "Source\tTarget\r\n";
  const std::string good = "( ( ( [SM 8 ) 9 ) ] )\t7\r\n";
  refused("", ":1: expected the header");
  refused(good, ":1: expected the header");
  refused(header + good + "7\r\n", ":3: expected 2 fields, found 1");
  refused(header + good + good + "3\t3\t3\r\n", ":4: expected 2 fields, found 3");
  refused(header + "\r\n", ":2: expected 2 fields, found 1");
  refused(header + "( ( ( [SM 8 ) 9 ) ] )\t10\r\n", ":2: expected a label from 0 to 9");
  refused(header + "( ( ( [SM 8 ) 9 ) ] )\tx\r\n", "found \"x\"");
  refused(header + "( ( ( [SUM 8 ) 9 ) ] )\t7\r\n", "found \"[SUM\"");
  refused(header + "( ( ( [SM 8 ) 9 ] )\t7\r\n", "expected balanced brackets, 1 stay open");
  refused(header + ") ( [SM 8 9 ]\t7\r\n", "\")\" without \"(\"");
  refused(header + "( ( ( [SM 8 ) 9 ) ] )\t6\r\n", "the label is 6, but the expression is worth 7");
  // The copies of before January 2021, which cannot be solved.
  refused(header + "[SM 8 9\t7\r\n", "1 lists are not closed");
  refused(header + "( ( ( [SM 8\0 ) 9 ) ] )\t7\r\n", ":2:");
}

// A row without end, here of a hundred megabytes in a sparse file, must cost no memory.
TEST_F(ListOpsReaderTest, ALongLineIsRefusedUnread) {
  const std::string header = "Source\tTarget\r\n";
  std::string longest = "( [SM 7 ] )";
  longest.insert(1, kMaxLineBytes - longest.size() - 2, ' ');
  EXPECT_EQ(read(header + longest + "\t7\r\n", ListOpsFormat::kLongRangeArena).size(), 1U);
  std::string longer = longest;
  longer.insert(1, 1, ' ');
  const auto refused = [this] {
    read_listops(
        path_, ListOpsFormat::kLongRangeArena, [](const auto&) {},
        [](const auto&, std::uint64_t, const std::string&) {
          FAIL() << "not a row to be skipped";
        });
  };
  write_text(path_, header + longer + "\t7\r\n");
  EXPECT_THAT(refused, ThrowsMessage<DataError>(
                           HasSubstr("rows.tsv:2: expected a line of at most 1048576 bytes")));
  write_text(path_, header);
  std::filesystem::resize_file(path_, std::uintmax_t{100} << 20);
  EXPECT_THAT(refused, ThrowsMessage<DataError>(HasSubstr("rows.tsv:2: expected a line")));
}

TEST_F(ListOpsReaderTest, AMissingFileIsNamed) {
  EXPECT_THAT(
      [this] {
        read_listops(
            folder_.path() / "no.tsv", ListOpsFormat::kNyu, [](const auto&) {}, refuse);
      },
      ThrowsMessage<DataError>(HasSubstr("no.tsv: cannot open")));
}

// Rows of the original test set, written out by hand: they stand in where the whole set is missing.
TEST_F(ListOpsReaderTest, RowsOfTheNyuTestSet) {
  const auto rows = read(
      "0\t( ( ( ( ( [SM 6 ) 5 ) 9 ) 0 ) ] )\n"
      "0\t( ( ( ( ( [MIN 6 ) 3 ) 5 ) 0 ) ] )\n"
      "2\t( ( ( ( ( ( [SM ( ( ( ( ( [MIN ( ( ( ( ( ( [MIN 5 ) ( ( ( ( [SM 5 ) 4 ) 1 ) ] ) ) 0 ) 4 "
      ") "
      "9 ) ] ) ) 8 ) 7 ) 6 ) ] ) ) 1 ) 1 ) 7 ) 3 ) ] )\n",
      ListOpsFormat::kNyu);
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(evaluate_listops(rows[2].tokens), 2);
}

// The reader compares each label with the value of its expression, so reading is the comparison;
// it is repeated here lest the reader change.
TEST_F(ListOpsReaderTest, ReproducesAllLabelsOfTheNyuTestSet) {
  const std::string missing = unpack_shared("listops/nyu_test_d20s.tsv", path_);
  if (!missing.empty()) GTEST_SKIP() << missing;
  std::size_t rows = 0;
  read_listops(
      path_, ListOpsFormat::kNyu,
      [&rows](const ListOpsRow& row) {
        ASSERT_EQ(evaluate_listops(row.tokens), row.label) << "line " << row.line;
        ++rows;
      },
      refuse);
  EXPECT_EQ(rows, 10000U);
}

}  // namespace
}  // namespace sbm::data
