#include "distributed/flat_layout.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "base/error.h"

namespace sbm::distributed {
namespace {

std::vector<ParameterSpec> random_parameters(std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<ParameterSpec> parameters;
  const auto count = random() % 20;
  for (std::uint32_t i = 0; i < count; ++i) {
    ParameterSpec spec{std::to_string(i), {}, random() % 2 == 0};
    for (auto extents = random() % 4; extents > 0; --extents) spec.shape.push_back(random() % 40);
    parameters.push_back(spec);
  }
  return parameters;
}

TEST(FlatLayout, EntriesAreAlignedInOrderAndApart) {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    const auto parameters = random_parameters(seed);
    const FlatLayout layout(parameters);
    ASSERT_EQ(layout.entries().size(), parameters.size());
    std::int64_t end = 0;
    std::int64_t count = 0;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const auto& entry = layout.entries()[i];
      std::int64_t elements = 1;
      for (const auto extent : parameters[i].shape) elements *= extent;
      EXPECT_EQ(entry.spec.name, parameters[i].name);
      EXPECT_EQ(entry.spec.decay, parameters[i].decay);
      EXPECT_EQ(entry.range.begin % FlatLayout::kAlignment, 0);
      EXPECT_GE(entry.range.begin, end);
      EXPECT_LT(entry.range.begin, end + FlatLayout::kAlignment);
      EXPECT_EQ(entry.range.size(), elements);
      end = entry.range.end;
      count += elements;
    }
    EXPECT_EQ(layout.parameter_count(), count);
    EXPECT_EQ(layout.size() % FlatLayout::kChunk, 0);
    EXPECT_GE(layout.size(), end);
    EXPECT_LT(layout.size(), end + FlatLayout::kChunk + FlatLayout::kAlignment);
  }
}

TEST(FlatLayout, ShardsAreEvenWholeChunksThatCoverEverything) {
  for (const std::int64_t chunks : {1, 2, 3, 7, 16}) {
    const FlatLayout layout({{"weight", {chunks * FlatLayout::kChunk - 5}, true}});
    ASSERT_EQ(layout.size(), chunks * FlatLayout::kChunk);
    for (int ranks = 1; ranks <= 9; ++ranks) {
      std::int64_t end = 0;
      for (int r = 0; r < ranks; ++r) {
        const ElementRange shard = layout.shard(r, ranks);
        EXPECT_EQ(shard.begin, end);
        EXPECT_EQ(shard.size() % FlatLayout::kChunk, 0);
        EXPECT_LE(layout.shard(0, ranks).size() - shard.size(), FlatLayout::kChunk);
        EXPECT_GE(layout.shard(0, ranks).size(), shard.size());
        end = shard.end;
      }
      EXPECT_EQ(end, layout.size());
    }
  }
}

TEST(FlatLayout, ScalarsEmptyParametersAndNoneAtAll) {
  const FlatLayout layout({{"scalar", {}, false}, {"empty", {3, 0}, true}, {"one", {1}, true}});
  EXPECT_EQ(layout.entries()[0].range, (ElementRange{0, 1}));
  EXPECT_EQ(layout.entries()[1].range, (ElementRange{16, 16}));
  EXPECT_EQ(layout.entries()[2].range, (ElementRange{16, 17}));
  EXPECT_EQ(layout.parameter_count(), 2);
  EXPECT_EQ(FlatLayout({}).size(), 0);
}

TEST(FlatLayout, RefusesWhatCannotBe) {
  EXPECT_THROW(FlatLayout({{"a", {1}, true}, {"a", {2}, true}}), InternalError);
  EXPECT_THROW(FlatLayout({{"a", {-1}, true}}), InternalError);
  EXPECT_THROW(FlatLayout({{"a", {1LL << 40, 1LL << 40}, true}}), InternalError);
  EXPECT_THROW(FlatLayout({{"a", {1LL << 61}, true}}), InternalError);
  EXPECT_THROW(FlatLayout({{"a", {std::numeric_limits<std::int64_t>::max()}, true}}),
               InternalError);
  EXPECT_THROW(FlatLayout({{"a", {1LL << 60}, true}, {"b", {1LL << 60}, true}}), InternalError);
  const FlatLayout layout({{"a", {1}, true}});
  EXPECT_THROW((void)layout.shard(2, 2), InternalError);
  EXPECT_THROW((void)layout.shard(-1, 2), InternalError);
}

}  // namespace
}  // namespace sbm::distributed
