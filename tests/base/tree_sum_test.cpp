#include "base/tree_sum.h"

#include <gtest/gtest.h>

#include <string>

#include "base/checked.h"

namespace sbm {
namespace {

std::string parenthesised(std::int64_t leaves) {
  struct Term {
    std::string text;
    Term operator+(const Term& other) const { return {"(" + text + other.text + ")"}; }
  };
  return tree_sum(0, leaves, [](std::int64_t i) { return Term{std::to_string(i)}; }).text;
}

TEST(TreeSum, FirstHalfGetsTheOddLeaf) {
  EXPECT_EQ(parenthesised(1), "0");
  EXPECT_EQ(parenthesised(2), "(01)");
  EXPECT_EQ(parenthesised(3), "((01)2)");
  EXPECT_EQ(parenthesised(5), "(((01)2)(34))");
  EXPECT_EQ(parenthesised(8), "(((01)(23))((45)(67)))");
}

TEST(Checked, ArithmeticHoldsOrSaysSo) {
  EXPECT_EQ(checked_add<std::uint64_t>(1, 2), 3U);
  EXPECT_FALSE(checked_add<std::uint64_t>(~0ULL, 1));
  EXPECT_FALSE(checked_multiply<std::int64_t>(1LL << 40, 1LL << 40));
  EXPECT_EQ(round_up(65, 64), 128);
  EXPECT_EQ(ceil_divide(0, 64), 0);
  EXPECT_THROW((void)checked_cast<std::int32_t>(1LL << 31, "rows"), InternalError);
}

}  // namespace
}  // namespace sbm
