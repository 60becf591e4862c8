#include "trainer/attention_benchmark.h"

#include <gtest/gtest.h>

namespace sbm::trainer {
namespace {

TEST(AttentionBenchmark, PathsCrossBetweenDensities) {
  const auto times = [](double first, double second, double third) {
    return std::vector<PathTimes>{{.density = 0.4, .ratio = first},
                                  {.density = 0.6, .ratio = second},
                                  {.density = 1.0, .ratio = third}};
  };
  EXPECT_DOUBLE_EQ(crossing(times(1.5, 1.2, 0.8)), 0.8);
  EXPECT_DOUBLE_EQ(crossing(times(0.9, 1.2, 0.8)), 0.8);
  EXPECT_DOUBLE_EQ(crossing(times(1.1, 0.9, 0.8)), 0.5);
  EXPECT_DOUBLE_EQ(crossing(times(0.9, 0.8, 0.7)), 0.4);
  EXPECT_DOUBLE_EQ(crossing(times(1.9, 1.8, 1.7)), 1.0);
}

}  // namespace
}  // namespace sbm::trainer
