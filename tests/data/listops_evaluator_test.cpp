#include "data/listops_evaluator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/listops_tokens.h"

namespace sbm::data {
namespace {

std::vector<std::uint8_t> tokens_of(const std::string& text) {
  std::vector<std::uint8_t> tokens;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const auto found = std::find(kListOpsText.begin(), kListOpsText.end(), word);
    tokens.push_back(static_cast<std::uint8_t>(found - kListOpsText.begin()));
  }
  return tokens;
}

std::int32_t value_of(const std::string& text) { return evaluate_listops(tokens_of(text)); }

std::int32_t value_of(const std::string& operation, const std::vector<int>& values) {
  std::ostringstream text;
  text << operation;
  for (const int value : values) text << ' ' << value;
  text << " ]";
  return value_of(text.str());
}

TEST(ListOpsEvaluator, KnowsEveryOperator) {
  EXPECT_EQ(value_of("7"), 7);
  EXPECT_EQ(value_of("[MIN 4 2 9 ]"), 2);
  EXPECT_EQ(value_of("[MAX 4 2 9 ]"), 9);
  EXPECT_EQ(value_of("[MED 4 2 9 ]"), 4);
  EXPECT_EQ(value_of("[SM 4 2 9 ]"), 5);
  EXPECT_EQ(value_of("[SM 9 ]"), 9);
  EXPECT_EQ(value_of("[MED 0 0 ]"), 0);
  EXPECT_EQ(value_of("[MIN 9 9 ]"), 9);
}

// The median of an even number of arguments is the mean of the middle two, cut to an integer.
TEST(ListOpsEvaluator, CutsTheMedianToAnInteger) {
  EXPECT_EQ(value_of("[MED 1 2 ]"), 1);
  EXPECT_EQ(value_of("[MED 1 4 ]"), 2);
  EXPECT_EQ(value_of("[MED 8 9 ]"), 8);
  EXPECT_EQ(value_of("[MED 9 0 5 4 ]"), 4);
  EXPECT_EQ(value_of("[MED 9 0 7 4 ]"), 5);
}

TEST(ListOpsEvaluator, Nests) {
  EXPECT_EQ(value_of("[MAX 2 9 [MIN 4 7 ] 0 ]"), 9);
  EXPECT_EQ(value_of("[SM [MAX 1 2 ] [MED 3 5 8 ] [SM 9 9 ] ]"), 5);
  std::vector<std::uint8_t> deep(200000, static_cast<std::uint8_t>(kListOpsMax));
  deep.push_back(kListOpsDigit + 3);
  deep.insert(deep.end(), 200000, static_cast<std::uint8_t>(kListOpsEnd));
  EXPECT_EQ(evaluate_listops(deep), 3);
}

TEST(ListOpsEvaluator, AgreesWithSortingOnRandomLists) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::vector<int> values(1 + random() % 12);
    for (int& value : values) value = static_cast<int>(random() % 10);
    const std::vector<int> unsorted = values;
    std::sort(values.begin(), values.end());
    int sum = 0;
    for (const int value : values) sum += value;
    const std::size_t n = values.size();
    ASSERT_EQ(value_of("[MIN", unsorted), values.front());
    ASSERT_EQ(value_of("[MAX", unsorted), values.back());
    ASSERT_EQ(value_of("[MED", unsorted), (values[(n - 1) / 2] + values[n / 2]) / 2);
    ASSERT_EQ(value_of("[SM", unsorted), sum % 10);
  }
}

TEST(ListOpsEvaluator, SaysWhatIsWrongAndWhere) {
  const auto refused = [](const std::vector<std::uint8_t>& tokens, const char* message) {
    EXPECT_THAT([&] { (void)evaluate_listops(tokens); },
                ::testing::ThrowsMessage<DataError>(::testing::HasSubstr(message)));
  };
  refused({}, "token 0: expected an expression, found nothing");
  refused(tokens_of("]"), "token 0: expected an expression");
  refused(tokens_of("[MAX ]"), "token 1: expected an argument");
  refused(tokens_of("[MAX 1 2"), "token 3: 1 lists are not closed");
  refused(tokens_of("[MAX 1 ] 2"), "token 3: expected the end of the sequence");
  refused(tokens_of("1 2"), "token 1: expected the end");
  refused({kListOpsMax, kListOpsPad, kListOpsEnd}, "token 1: expected an id from 1 to 15, found 0");
  refused({kListOpsMax, kListOpsUnknown}, "found 16");
  refused({255}, "found 255");
}

}  // namespace
}  // namespace sbm::data
