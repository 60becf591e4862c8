#include "data/ordered_blocks.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace sbm::data {
namespace {

TEST(OrderedBlocks, ComeInOrderWhateverTheThreads) {
  for (int threads = 0; threads <= 4; ++threads) {
    std::vector<std::uint64_t> taken;
    OrderedBlocks<std::string>::run(
        threads, [](std::uint64_t block) { return std::to_string(block); },
        [&taken](const std::string& block) {
          taken.push_back(std::stoull(block));
          return taken.size() < 200;
        });
    ASSERT_EQ(taken.size(), 200U);
    for (std::uint64_t i = 0; i < taken.size(); ++i) ASSERT_EQ(taken[i], i);
  }
}

TEST(OrderedBlocks, DoNotRunFarAhead) {
  std::atomic<std::uint64_t> furthest = 0;
  std::uint64_t taken = 0;
  OrderedBlocks<std::uint64_t>::run(
      3,
      [&furthest](std::uint64_t block) {
        std::uint64_t seen = furthest;
        while (seen < block && !furthest.compare_exchange_weak(seen, block)) {
        }
        return block;
      },
      [&](std::uint64_t) {
        EXPECT_LE(furthest, taken + 1 + 12);
        return ++taken < 100;
      });
}

TEST(OrderedBlocks, AnExceptionComesAtItsPlace) {
  for (int threads = 1; threads <= 3; ++threads) {
    std::uint64_t taken = 0;
    const auto make = [](std::uint64_t block) {
      if (block == 7) throw std::runtime_error("seven");
      return block;
    };
    EXPECT_THROW(OrderedBlocks<std::uint64_t>::run(threads, make,
                                                   [&taken](std::uint64_t) {
                                                     ++taken;
                                                     return true;
                                                   }),
                 std::runtime_error);
    EXPECT_EQ(taken, 7U);
  }
}

}  // namespace
}  // namespace sbm::data
