#include "trainer/nearest_name.h"

#include <gtest/gtest.h>

#include <vector>

namespace sbm::trainer {
namespace {

const std::vector<std::string> kNames = {"layers", "heads", "head_dim", "dropout"};

TEST(NearestName, FindsSlips) {
  EXPECT_EQ(nearest_name("layer", kNames), "layers");      // left out
  EXPECT_EQ(nearest_name("haeds", kNames), "heads");       // swapped
  EXPECT_EQ(nearest_name("dropouts", kNames), "dropout");  // added
  EXPECT_EQ(nearest_name("HEAD_DIM", kNames), "head_dim");
  EXPECT_EQ(nearest_name("headdim", kNames), "head_dim");
}

TEST(NearestName, KeepsSilentWhenNothingIsNear) {
  EXPECT_EQ(nearest_name("temperature", kNames), "");
  EXPECT_EQ(nearest_name("", kNames), "");
  EXPECT_EQ(nearest_name(std::string(1000, 'x'), kNames), "");
  EXPECT_EQ(suggestion("temperature", kNames), "");
}

TEST(NearestName, ListsNames) {
  EXPECT_EQ(list_names(std::vector<std::string>{"a"}), "\"a\"");
  EXPECT_EQ(list_names(std::vector<std::string>{"a", "b", "c"}), "\"a\", \"b\" or \"c\"");
}

}  // namespace
}  // namespace sbm::trainer
