#include "kernels/cuda/mask_layout.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>

namespace sbm::kernels::cuda {
namespace {

TEST(MaskLayout, ALaneOfAQuadOwnsTheColumnsOfItsFragments) {
  // m16n8: lane q of a quad holds columns 2q and 2q + 1 of each of the tile's eight fragments.
  for (int t = 0; t < 8; ++t) {
    for (int q = 0; q < 4; ++q) {
      for (int e = 0; e < 2; ++e) {
        EXPECT_EQ(column_to_bit(8 * t + 2 * q + e), 16 * q + 2 * t + e);
        EXPECT_EQ(bit_to_column(16 * q + 2 * t + e), 8 * t + 2 * q + e);
      }
    }
  }
}

TEST(MaskLayout, WordsTurnIntoNaturalOrderAndBack) {
  std::mt19937_64 random(3);
  for (int trial = 0; trial < 1000; ++trial) {
    const std::uint64_t word = random();
    std::uint64_t natural = 0;
    for (int column = 0; column < kMaskTile; ++column) {
      natural |= (word >> column_to_bit(column) & 1) << column;
    }
    EXPECT_EQ(to_natural_order(word), natural);
    EXPECT_EQ(to_mask_order(natural), word);
  }
}

TEST(MaskLayout, EveryRowOfATileHasAWordOfItsOwn) {
  EXPECT_EQ(mask_words(1, 65), 2 * kMaskTile);
  EXPECT_EQ(mask_word(65, 0, 64), kMaskTile);
  EXPECT_EQ(mask_word(65, 66, 3), 2 * kMaskTile + 2);
  EXPECT_EQ(mask_word(65, 127, 64), mask_words(128, 65) - 1);
}

}  // namespace
}  // namespace sbm::kernels::cuda
