#include "distributed/norm_tree.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace sbm::distributed {
namespace {

/// What the block of the GPU does, thread by thread.
double sum_by_levels(const std::vector<double>& values, int levels) {
  const auto leaves = static_cast<std::int64_t>(values.size());
  std::vector<double> sums(std::size_t{1} << levels);
  std::vector<bool> filled(sums.size());
  for (std::size_t node = 0; node < sums.size(); ++node) {
    const TreeNode own = tree_node(leaves, levels, static_cast<int>(node));
    filled[node] = own.begin < own.end;
    if (filled[node]) sums[node] = tree_node_sum(values.data(), own);
  }
  for (std::size_t width = sums.size() / 2; width > 0; width /= 2) {
    for (std::size_t node = 0; node < width; ++node) {
      EXPECT_TRUE(filled[2 * node] || !filled[2 * node + 1]);
      sums[node] = sums[2 * node];
      if (filled[2 * node + 1]) sums[node] += sums[2 * node + 1];
      filled[node] = filled[2 * node];
    }
  }
  return sums[0];
}

TEST(NormTree, LevelsOfABlockGiveTheBitsOfTheRecursion) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  for (const int levels : {0, 1, 3, 10}) {
    for (const std::size_t leaves : {1, 2, 3, 5, 8, 13, 100, 1023, 1024, 1025, 5000, 27000}) {
      std::vector<double> values(leaves);
      for (double& value : values) value = uniform(random);
      const double expected = tree_sum(0, static_cast<std::int64_t>(leaves), [&](std::int64_t i) {
        return values[static_cast<std::size_t>(i)];
      });
      EXPECT_EQ(sum_by_levels(values, levels), expected) << leaves << " leaves, " << levels;
    }
  }
}

}  // namespace
}  // namespace sbm::distributed
