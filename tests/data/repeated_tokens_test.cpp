#include "data/repeated_tokens.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "tests/data/statistics.h"

namespace sbm::data {
namespace {

TEST(RepeatedTokens, LabelsSayWhatOccursAgain) {
  RepeatedTokensSample sample;
  for (std::uint64_t i = 0; i < 50; ++i) {
    draw_repeated_tokens({.length = 40}, 0, i, sample);
    ASSERT_EQ(sample.tokens.size(), 40U);
    for (std::size_t t = 0; t < 40; ++t) {
      ASSERT_GE(sample.tokens[t], 1);
      ASSERT_LE(sample.tokens[t], 40);
      const auto count = std::count(sample.tokens.begin(), sample.tokens.end(), sample.tokens[t]);
      ASSERT_EQ(sample.labels[t], count > 1 ? 1 : 0);
    }
  }
}

// Generated data are a contract. The numbers were computed by a second implementation, written in
// Python from the description.
TEST(RepeatedTokens, IsFixedForEver) {
  RepeatedTokensSample sample;
  draw_repeated_tokens({.length = 8, .seed = 9}, 1, 2, sample);
  EXPECT_EQ(sample.tokens, (std::vector<std::uint16_t>{3, 4, 4, 1, 2, 2, 5, 2}));
  EXPECT_EQ(sample.labels, (std::vector<std::uint8_t>{0, 1, 1, 0, 1, 1, 0, 1}));
  draw_repeated_tokens({.length = 8, .seed = 0}, 0, 0, sample);
  EXPECT_EQ(sample.tokens, (std::vector<std::uint16_t>{8, 3, 5, 2, 2, 6, 3, 5}));
}

// Uniform tokens, independent neighbours, and the share of repeated tokens 1 - (1 - 1/N)^(N-1).
// False-alarm rate of each comparison: 1e-6.
TEST(RepeatedTokens, TokensAreUniformAndIndependent) {
  constexpr std::size_t kLength = 24;
  constexpr std::uint64_t kSamples = 4000;
  std::vector<double> counts(kLength);
  std::vector<double> pairs(kLength * kLength);
  std::vector<double> repeated;
  RepeatedTokensSample sample;
  for (std::uint64_t i = 0; i < kSamples; ++i) {
    draw_repeated_tokens({.length = kLength, .seed = 3}, 0, i, sample);
    for (const std::uint16_t token : sample.tokens) counts[token - 1U] += 1;
    for (std::size_t t = 0; t + 1 < kLength; t += 2) {
      pairs[(sample.tokens[t] - 1U) * kLength + sample.tokens[t + 1] - 1U] += 1;
    }
    repeated.push_back(
        static_cast<double>(std::count(sample.labels.begin(), sample.labels.end(), 1)));
  }
  EXPECT_LT(uniform_z(counts), kOneInAMillion);
  EXPECT_LT(uniform_z(pairs), kOneInAMillion);
  const double expected = kLength * (1 - std::pow(1 - 1.0 / kLength, kLength - 1));
  const std::vector<double> exact(kSamples, expected);
  EXPECT_LT(std::abs(mean_z(repeated, exact)), kOneInAMillion);
}

TEST(RepeatedTokens, SplitsSeedsAndSamplesDiffer) {
  RepeatedTokensSample a;
  RepeatedTokensSample b;
  draw_repeated_tokens({}, 0, 0, a);
  for (const auto& [seed, split, index] :
       {std::tuple<std::uint64_t, std::uint32_t, std::uint64_t>{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}) {
    draw_repeated_tokens({.seed = seed}, split, index, b);
    EXPECT_NE(a.tokens, b.tokens);
  }
}

TEST(RepeatedTokens, RefusesImpossibleParameters) {
  EXPECT_THROW(check_repeated_tokens_parameters({.length = 0}), ConfigError);
  EXPECT_THROW(check_repeated_tokens_parameters({.length = 65536}), ConfigError);
  EXPECT_THROW(check_repeated_tokens_parameters({.train_samples = -1}), ConfigError);
  EXPECT_NO_THROW(check_repeated_tokens_parameters({.length = 65535}));
}

}  // namespace
}  // namespace sbm::data
