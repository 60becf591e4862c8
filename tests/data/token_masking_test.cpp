// Statistical checks pass by chance alone once in a million; the seeds are fixed.
#include "data/token_masking.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "base/error.h"
#include "tests/data/statistics.h"

namespace sbm::data {
namespace {

using Tokens = std::vector<std::int32_t>;

constexpr std::int32_t kVocabulary = 1000;

// [CLS] 2, [SEP] 3, [MASK] 4; ids from 500 on continue a word.
WordPieceIds pieces() {
  WordPieceIds ids{.cls = 2, .sep = 3, .mask = 4};
  for (std::int32_t id = 0; id < kVocabulary; ++id) ids.continues.push_back(id >= 500);
  return ids;
}

// [CLS], words, [SEP], where `word(i)` gives the token at place i.
template <typename Word>
Tokens sentence(int length, Word word) {
  Tokens tokens(static_cast<std::size_t>(length), 2);
  for (int i = 1; i < length - 1; ++i) tokens[static_cast<std::size_t>(i)] = word(i);
  tokens.back() = 3;
  return tokens;
}

Tokens plain(int length) {
  return sentence(length, [](int i) { return 5 + i; });
}

TEST(TokenMasking, ChoosesThePublishedNumber) {
  // Python: min(20, max(1, int(round(n * 0.15)))).
  const std::vector<std::pair<int, std::size_t>> expected = {
      {3, 1},  {5, 1},  {9, 1},  {10, 2},  {11, 2},  {16, 2},  {17, 3},   {23, 3},   {24, 4},
      {30, 4}, {31, 5}, {50, 8}, {70, 10}, {90, 14}, {99, 15}, {128, 19}, {130, 20}, {200, 20}};
  for (const auto& [length, count] : expected) {
    for (const bool whole_words : {false, true}) {
      Tokens tokens = plain(length);
      const MaskedTokens masked =
          mask_tokens({.whole_words = whole_words}, pieces(), 1, 0, 0, tokens);
      EXPECT_EQ(masked.positions.size(), count) << "of " << length;
    }
  }
  Tokens tokens = plain(40);
  EXPECT_EQ(
      mask_tokens({.share = 0.5, .max_predictions = 7}, pieces(), 1, 0, 0, tokens).positions.size(),
      7U);
  tokens = plain(10);
  EXPECT_EQ(mask_tokens({.share = 1.0}, pieces(), 1, 0, 0, tokens).positions.size(), 8U);
  tokens = {2, 3};
  EXPECT_TRUE(mask_tokens({}, pieces(), 1, 0, 0, tokens).positions.empty());
  EXPECT_EQ(tokens, (Tokens{2, 3}));
}

TEST(TokenMasking, SaysWhatWasThere) {
  for (std::uint64_t sample = 0; sample < 200; ++sample) {
    const Tokens original = plain(60);
    Tokens tokens = original;
    const MaskedTokens masked = mask_tokens({}, pieces(), 7, 3, sample, tokens);
    ASSERT_EQ(masked.positions.size(), masked.labels.size());
    EXPECT_TRUE(std::is_sorted(masked.positions.begin(), masked.positions.end()));
    const std::set<std::int32_t> chosen(masked.positions.begin(), masked.positions.end());
    EXPECT_EQ(chosen.size(), masked.positions.size());
    EXPECT_FALSE(chosen.contains(0) || chosen.contains(59));
    for (std::size_t i = 0; i < masked.positions.size(); ++i) {
      const auto position = static_cast<std::size_t>(masked.positions[i]);
      EXPECT_EQ(masked.labels[i], original[position]);
      tokens[position] = masked.labels[i];
    }
    EXPECT_EQ(tokens, original) << "nothing else changed";
  }
}

TEST(TokenMasking, DependsOnSeedEpochAndSampleAlone) {
  const auto masked = [](std::uint64_t seed, std::uint64_t epoch, std::uint64_t sample) {
    Tokens tokens = plain(100);
    return std::pair(mask_tokens({}, pieces(), seed, epoch, sample, tokens).positions, tokens);
  };
  // Whatever was masked before or between, as when another rank or a resumed run gets the sample.
  const auto first = masked(1, 2, 3);
  masked(1, 2, 4);
  EXPECT_EQ(masked(1, 2, 3), first);
  EXPECT_NE(masked(2, 2, 3), first);
  EXPECT_NE(masked(1, 3, 3), first);
  EXPECT_NE(masked(1, 2, 4), first);
}

// The numbers are those of a separate program that knows the rules and Philox only.
TEST(TokenMasking, IsTheContract) {
  Tokens tokens = plain(40);
  const MaskedTokens masked =
      mask_tokens({.share = 0.5, .max_predictions = 99}, pieces(), 42, 1, 9, tokens);
  EXPECT_EQ(masked.positions,
            (Tokens{2, 3, 5, 6, 8, 9, 13, 15, 17, 19, 21, 25, 26, 28, 29, 30, 31, 32, 34, 37}));
  EXPECT_EQ(tokens, (Tokens{2,  6,   931, 4,   9,  4,  11,  12, 4,  177, 15, 16, 17, 455,
                            19, 718, 21,  4,   23, 4,  25,  4,  27, 28,  29, 4,  4,  32,
                            13, 34,  4,   497, 37, 38, 810, 40, 41, 4,   43, 3}));
}

TEST(TokenMasking, ReplacesEightyTenTen) {
  double masks = 0;
  double kept = 0;
  double total = 0;
  std::vector<double> drawn(static_cast<std::size_t>(kVocabulary), 0);
  for (std::uint64_t sample = 0; sample < 20000; ++sample) {
    Tokens tokens = plain(128);
    const MaskedTokens masked = mask_tokens({}, pieces(), 11, 0, sample, tokens);
    for (std::size_t i = 0; i < masked.positions.size(); ++i) {
      const std::int32_t now = tokens[static_cast<std::size_t>(masked.positions[i])];
      total += 1;
      if (now == 4) {
        masks += 1;
      } else if (now == masked.labels[i]) {
        kept += 1;
      } else {
        drawn[static_cast<std::size_t>(now)] += 1;
      }
    }
  }
  EXPECT_EQ(total, 20000 * 19);
  // A drawn id is [MASK] or the true one once in a thousand.
  const auto z = [&](double count, double probability) {
    return std::abs(count - total * probability) /
           std::sqrt(total * probability * (1 - probability));
  };
  EXPECT_LT(z(masks, 0.8 + 0.1 / kVocabulary), kOneInAMillion);
  EXPECT_LT(z(kept, 0.1 + 0.1 / kVocabulary), kOneInAMillion);
  // Uniform over all ids that stand nowhere in the sentence, special ones and continuations
  // included.
  drawn.erase(drawn.begin() + 5, drawn.begin() + 5 + 128);
  drawn.erase(drawn.begin() + 4);
  EXPECT_LT(uniform_z(drawn), kOneInAMillion);
}

TEST(TokenMasking, ChoosesEveryPlaceAlike) {
  std::vector<double> counts(62, 0);
  for (std::uint64_t sample = 0; sample < 30000; ++sample) {
    Tokens tokens = plain(64);
    for (const std::int32_t position : mask_tokens({}, pieces(), 5, 1, sample, tokens).positions) {
      counts[static_cast<std::size_t>(position - 1)] += 1;
    }
  }
  // Drawn without replacement the counts vary less than independent ones, so this is on the safe
  // side.
  EXPECT_LT(uniform_z(counts), kOneInAMillion);
  EXPECT_GT(*std::min_element(counts.begin(), counts.end()), 0);
}

TEST(TokenMasking, NeighboursAreIndependent) {
  // Two given places of 62, 10 chosen: both with probability 10 * 9 / (62 * 61).
  double both = 0;
  const double trials = 40000;
  for (std::uint64_t sample = 0; sample < 40000; ++sample) {
    Tokens tokens = plain(64);
    const Tokens chosen = mask_tokens({}, pieces(), 6, 0, sample, tokens).positions;
    both +=
        std::count(chosen.begin(), chosen.end(), 7) + std::count(chosen.begin(), chosen.end(), 8) ==
        2;
  }
  const double p = 90.0 / (62 * 61);
  EXPECT_LT(std::abs(both - trials * p) / std::sqrt(trials * p * (1 - p)), kOneInAMillion);
}

TEST(TokenMasking, TakesWholeWordsOrNone) {
  // Words of three pieces: one that begins, two that continue.
  const Tokens original = sentence(128, [](int i) { return i % 3 == 1 ? 5 + i : 500 + i; });
  for (std::uint64_t sample = 0; sample < 300; ++sample) {
    Tokens tokens = original;
    const MaskedTokens masked = mask_tokens({.whole_words = true}, pieces(), 3, 0, sample, tokens);
    // 19 are wanted and 18 fit.
    ASSERT_EQ(masked.positions.size(), 18U);
    for (std::size_t i = 0; i < 18; i += 3) {
      EXPECT_EQ(masked.positions[i] % 3, 1);
      EXPECT_EQ(masked.positions[i + 1], masked.positions[i] + 1);
      EXPECT_EQ(masked.positions[i + 2], masked.positions[i] + 2);
    }
  }
  // A word longer than the number wanted is passed over for one that fits.
  for (std::uint64_t sample = 0; sample < 50; ++sample) {
    Tokens tokens = sentence(12, [](int i) { return i == 1 || i == 10 ? 5 + i : 500 + i; });
    const MaskedTokens masked = mask_tokens({.whole_words = true}, pieces(), 3, 0, sample, tokens);
    EXPECT_EQ(masked.positions, (Tokens{10}));
  }
  // A sample that begins inside a word: what is there is a word.
  Tokens tokens = {2, 501, 3};
  EXPECT_EQ(mask_tokens({.whole_words = true}, pieces(), 3, 0, 0, tokens).positions, (Tokens{1}));
}

TEST(TokenMasking, ChecksItsRules) {
  EXPECT_NO_THROW(check_masking_rules({}));
  for (const double share : {0.0, -0.1, 1.1, std::nan("")}) {
    EXPECT_THROW(check_masking_rules({.share = share}), ConfigError);
  }
  EXPECT_THROW(check_masking_rules({.max_predictions = 0}), ConfigError);
}

TEST(MaskBatch, MasksEachSampleByItsEpoch) {
  Batch batch;
  batch.size = 3;
  batch.padded_length = 30;
  batch.sample_ids = {8, 5, 8};
  batch.tokens.assign(90, 0);
  for (const auto& [row, length] : {std::pair(0, 30), {1, 20}, {2, 30}}) {
    batch.lengths.push_back(length);
    std::ranges::copy(plain(length), batch.tokens.begin() + 30 * row);
  }
  const Batch before = batch;
  const std::vector<std::uint64_t> epochs = {2, 3, 3};
  mask_batch(MaskingRules(), pieces(), 11, epochs, batch);
  for (std::size_t row = 0; row < 3; ++row) {
    Tokens tokens = plain(before.lengths[row]);
    const MaskedTokens masked =
        mask_tokens(MaskingRules(), pieces(), 11, epochs[row], batch.sample_ids[row], tokens);
    Tokens labels(30, -1);
    for (std::size_t i = 0; i < masked.positions.size(); ++i) {
      labels[static_cast<std::size_t>(masked.positions[i])] = masked.labels[i];
    }
    tokens.resize(30, 0);
    const auto begin = static_cast<std::ptrdiff_t>(30 * row);
    EXPECT_TRUE(std::equal(tokens.begin(), tokens.end(), batch.tokens.begin() + begin)) << row;
    EXPECT_TRUE(std::equal(labels.begin(), labels.end(), batch.token_labels.begin() + begin));
  }
  EXPECT_FALSE(std::equal(batch.tokens.begin(), batch.tokens.begin() + 30,
                          batch.tokens.begin() + 60));  // one sample in two epochs
  EXPECT_THROW(mask_batch(MaskingRules(), pieces(), 11, std::span(epochs).first(2), batch),
               InternalError);
}

}  // namespace
}  // namespace sbm::data
