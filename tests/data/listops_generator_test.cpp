#include "data/listops_generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/random_stream.h"
#include "data/generation_streams.h"
#include "data/listops_evaluator.h"
#include "data/listops_reader.h"
#include "data/listops_tokens.h"
#include "tests/data/shared_data.h"
#include "tests/data/statistics.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

using Tokens = std::vector<std::uint8_t>;

PhiloxKey candidate_key(std::uint64_t seed, std::uint64_t candidate) {
  return stream_key(seed, {.purpose = StreamPurpose::kDataGeneration,
                           .sample = candidate,
                           .site = static_cast<std::uint32_t>(GenerationSite::kListOpsTree)});
}

struct Generated {
  std::size_t split = 0;
  Tokens tokens;
  std::int32_t label = 0;
  friend bool operator==(const Generated&, const Generated&) = default;
};

std::vector<Generated> generate(const ListOpsParameters& parameters, int threads) {
  std::vector<Generated> samples;
  generate_listops(parameters, threads, [&](std::size_t split, const ListOpsSample& sample) {
    samples.push_back({split, Tokens(sample.tokens.begin(), sample.tokens.end()), sample.label});
  });
  return samples;
}

// No length limit that matters.
ListOpsParameters unlimited(std::int32_t max_depth, std::int32_t max_arguments) {
  return {.max_depth = max_depth,
          .max_arguments = max_arguments,
          .min_length = 0,
          .max_length = 1 << 20};
}

// What shapes a tree: the lists of a token sequence with their operators, arguments and depths.
struct Shape {
  std::vector<double> arguments = std::vector<double>(11);  ///< lists with so many arguments
  std::vector<double> operators = std::vector<double>(4);
  std::vector<double> digits = std::vector<double>(10);
  std::vector<double> root_arguments = std::vector<double>(11);
  std::vector<double> root_operators = std::vector<double>(4);
  std::vector<double> labels = std::vector<double>(10);
  std::vector<double> depths = std::vector<double>(12);  ///< trees of so many levels
  std::vector<double> lengths;
  std::vector<double> lists;         ///< lists of each tree
  std::vector<double> digit_levels;  ///< mean level of the digits of each tree

  void add(const Tokens& tokens, std::int32_t label) {
    std::vector<std::size_t> open;
    std::size_t deepest = 1;
    double list_count = 0;
    double digit_count = 0;
    double levels = 0;
    for (const std::uint8_t token : tokens) {
      if (is_listops_operator(token)) {
        if (open.empty()) root_operators[token - kListOpsMin] += 1;
        operators[token - kListOpsMin] += 1;
        if (!open.empty()) ++open.back();
        open.push_back(0);
        list_count += 1;
        deepest = std::max(deepest, open.size());
      } else if (token == kListOpsEnd) {
        arguments[open.back()] += 1;
        if (open.size() == 1) root_arguments[open.back()] += 1;
        open.pop_back();
      } else {
        digits[token - kListOpsDigit] += 1;
        if (!open.empty()) ++open.back();
        deepest = std::max(deepest, open.size() + 1);
        digit_count += 1;
        levels += static_cast<double>(open.size() + 1);
      }
    }
    depths[deepest] += 1;
    labels[static_cast<std::size_t>(label)] += 1;
    lengths.push_back(static_cast<double>(tokens.size()));
    lists.push_back(list_count);
    digit_levels.push_back(levels / digit_count);
  }
};

// Two levels, 2 or 3 arguments: the exact law of every quantity is known. False-alarm rate of each
// comparison: 1e-6.
TEST(ListOpsTree, FollowsTheExactLawOfSmallTrees) {
  constexpr double kTrees = 60000;
  Shape shape;
  Tokens tokens;
  std::vector<double> lengths(6);
  std::map<std::pair<int, int>, double> pairs;
  for (std::uint64_t i = 0; i < 60000; ++i) {
    ASSERT_TRUE(draw_listops_tree(candidate_key(1, i), unlimited(2, 3), tokens));
    lengths[tokens.size()] += 1;
    shape.add(tokens, evaluate_listops(tokens));
    if (tokens.size() == 4) pairs[{tokens[1], tokens[2]}] += 1;
  }
  EXPECT_LT(
      fit_z({lengths[1], lengths[4], lengths[5]}, {0.75 * kTrees, 0.125 * kTrees, 0.125 * kTrees}),
      kOneInAMillion);
  EXPECT_LT(uniform_z(shape.operators), kOneInAMillion);
  EXPECT_LT(uniform_z(shape.digits), kOneInAMillion);
  std::vector<double> pair_counts;
  for (const auto& [pair, count] : pairs) pair_counts.push_back(count);
  ASSERT_EQ(pair_counts.size(), 100U);
  EXPECT_LT(uniform_z(pair_counts), kOneInAMillion);
}

// A node below the last level is a list in one of four cases, with 2 to 10 arguments.
// False-alarm rate of each comparison: 1e-6.
TEST(ListOpsTree, ListsHaveTwoToTheMostArgumentsAndRespectTheDepth) {
  Shape shape;
  Tokens tokens;
  for (std::uint64_t i = 0; i < 40000; ++i) {
    ASSERT_TRUE(draw_listops_tree(candidate_key(2, i), unlimited(3, 10), tokens));
    shape.add(tokens, 0);
  }
  EXPECT_EQ(shape.arguments[0] + shape.arguments[1], 0);
  EXPECT_LT(uniform_z({shape.arguments.begin() + 2, shape.arguments.end()}), kOneInAMillion);
  // A root list is one of lists only when one of its 6 (on average) children is a list.
  double deep = 0;
  for (int n = 2; n <= 10; ++n) deep += (1 - std::pow(0.75, n)) / 9;
  EXPECT_LT(fit_z({shape.depths[1], shape.depths[2], shape.depths[3]},
                  {30000, 10000 * (1 - deep), 10000 * deep}),
            kOneInAMillion);
  for (std::size_t depth = 4; depth < shape.depths.size(); ++depth) {
    EXPECT_EQ(shape.depths[depth], 0);
  }
}

// Giving up early is only faster: the accepted trees are those that a generator without limits
// makes and the limits then admit.
TEST(ListOpsTree, GivingUpEarlyChangesNothing) {
  const ListOpsParameters limited{.min_length = 50, .max_length = 300};
  Tokens with_limits;
  Tokens without;
  int accepted = 0;
  for (std::uint64_t i = 0; i < 5000; ++i) {
    ASSERT_TRUE(draw_listops_tree(candidate_key(3, i), unlimited(10, 10), without));
    const bool admitted = without.size() > 50 && without.size() < 300;
    ASSERT_EQ(draw_listops_tree(candidate_key(3, i), limited, with_limits), admitted);
    if (admitted) {
      ASSERT_EQ(with_limits, without);
    }
    accepted += admitted ? 1 : 0;
  }
  EXPECT_GT(accepted, 100);
}

TEST(ListOpsTree, BothLimitsAreStrict) {
  Tokens tokens;
  std::set<std::size_t> lengths;
  for (std::uint64_t i = 0; i < 20000; ++i) {
    const ListOpsParameters parameters{.max_depth = 3, .min_length = 6, .max_length = 9};
    if (draw_listops_tree(candidate_key(4, i), parameters, tokens)) lengths.insert(tokens.size());
  }
  EXPECT_EQ(lengths, (std::set<std::size_t>{7, 8}));
}

// Generated data are a contract. The trees were computed by a second implementation, written in
// Python from the description.
TEST(ListOpsTree, IsFixedForEver) {
  const ListOpsParameters parameters{
      .max_depth = 4, .max_arguments = 4, .min_length = 8, .max_length = 24};
  std::map<std::uint64_t, Tokens> accepted;
  for (std::uint64_t i = 0; i <= 29; ++i) {
    Tokens tokens;
    if (draw_listops_tree(candidate_key(3, i), parameters, tokens)) accepted[i] = tokens;
  }
  EXPECT_EQ(accepted, (std::map<std::uint64_t, Tokens>{
                          {1, {4, 3, 2, 8, 9, 15, 5, 14, 11, 5, 15, 14, 5}},
                          {5, {4, 14, 3, 1, 11, 7, 5, 14, 12, 5, 5}},
                          {20, {1, 2, 12, 15, 6, 1, 7, 7, 15, 9, 5, 5, 14, 11, 7, 5}},
                          {21, {4, 2, 10, 7, 8, 5, 14, 4, 6, 14, 6, 11, 5, 15, 5}},
                          {29, {2, 8, 7, 4, 9, 13, 12, 5, 4, 13, 11, 5, 5}}}));
}

TEST(ListOpsGenerator, DoesNotDependOnTheThreads) {
  const ListOpsParameters parameters{.train_samples = 300,
                                     .validation_samples = 40,
                                     .test_samples = 50,
                                     .min_length = 20,
                                     .max_length = 200,
                                     .seed = 11};
  const auto one = generate(parameters, 1);
  ASSERT_EQ(one.size(), 390U);
  EXPECT_EQ(generate(parameters, 2), one);
  EXPECT_EQ(generate(parameters, 3), one);
  ListOpsParameters other = parameters;
  other.seed = 12;
  EXPECT_NE(generate(other, 1), one);
  std::array<int, 3> counts{};
  for (const Generated& sample : one) {
    ++counts.at(sample.split);
    EXPECT_EQ(sample.label, evaluate_listops(sample.tokens));
    EXPECT_GT(sample.tokens.size(), 20U);
    EXPECT_LT(sample.tokens.size(), 200U);
  }
  EXPECT_EQ(counts, (std::array<int, 3>{300, 40, 50}));
}

// Length 4 only: 4 operators times 100 pairs of digits, and each of the 400 trees comes once.
TEST(ListOpsGenerator, NoTreeOccursTwiceInAnySplits) {
  const ListOpsParameters parameters{.train_samples = 200,
                                     .validation_samples = 100,
                                     .test_samples = 100,
                                     .max_depth = 2,
                                     .max_arguments = 2,
                                     .min_length = 3,
                                     .max_length = 5};
  std::set<std::string> trees;
  for (const Generated& sample : generate(parameters, 2)) {
    trees.emplace(sample.tokens.begin(), sample.tokens.end());
  }
  EXPECT_EQ(trees.size(), 400U);
}

TEST(ListOpsGenerator, SaysWhenThereAreNoMoreTrees) {
  const ListOpsParameters parameters{.train_samples = 11,
                                     .validation_samples = 0,
                                     .test_samples = 0,
                                     .max_depth = 1,
                                     .min_length = 0,
                                     .max_length = 2};
  EXPECT_THAT(
      [&] { generate(parameters, 1); },
      ::testing::ThrowsMessage<ConfigError>(::testing::HasSubstr("found 10 of 11 distinct trees")));
}

TEST(ListOpsGenerator, RefusesImpossibleParameters) {
  const auto refused = [](auto change, const char* message) {
    ListOpsParameters parameters;
    change(parameters);
    EXPECT_THAT([&] { generate(parameters, 1); },
                ::testing::ThrowsMessage<ConfigError>(::testing::HasSubstr(message)));
  };
  refused([](auto& p) { p.train_samples = -1; }, "train_samples: expected 0 to");
  refused([](auto& p) { p.test_samples = INT64_MAX; }, "test_samples");
  refused([](auto& p) { p.max_depth = 0; }, "max_depth");
  refused([](auto& p) { p.max_arguments = 1; }, "max_arguments: expected 2 to");
  refused([](auto& p) { p.min_length = -1; }, "min_length");
  refused([](auto& p) { p.max_length = 501; }, "max_length: expected 502 to");
  refused([](auto& p) { p.max_depth = 3; }, "no tree of max_depth 3");
}

TEST(ListOpsGenerator, EndsWhenItsTakerThrows) {
  int taken = 0;
  EXPECT_THROW(generate_listops({}, 2,
                                [&taken](std::size_t, const ListOpsSample&) {
                                  if (++taken == 3) throw DataError("disk full");
                                }),
               DataError);
  EXPECT_EQ(taken, 3);
}

// The defaults against the numbers measured on the published program (4,000 accepted trees):
// acceptance 8.3 %, length mean 1,030, median 944, p90 1,647, labels 0 and 9 about 17 %, others
// 7-9 %. Tolerances: five standard errors of both samples together and the rounding of the numbers;
// false-alarm rate of each below 1e-6.
TEST(ListOpsGenerator, HasThePublishedStatistics) {
  constexpr double kCandidates = 36000;
  const ListOpsParameters parameters;
  Shape shape;
  Tokens tokens;
  for (std::uint64_t i = 0; i < 36000; ++i) {
    if (draw_listops_tree(candidate_key(5, i), parameters, tokens)) {
      shape.add(tokens, evaluate_listops(tokens));
    }
  }
  const auto accepted = static_cast<double>(shape.lengths.size());
  EXPECT_NEAR(accepted / kCandidates, 0.083, 5 * std::hypot(0.0013, 0.0015) + 0.0005);
  EXPECT_NEAR(mean(shape.lengths), 1030, 5 * std::hypot(6.3, 7.3) + 0.5);
  std::sort(shape.lengths.begin(), shape.lengths.end());
  EXPECT_NEAR(shape.lengths[shape.lengths.size() / 2], 944, 5 * std::hypot(9, 10.4));
  EXPECT_NEAR(shape.lengths[shape.lengths.size() * 9 / 10], 1647, 5 * std::hypot(8, 9.2));
  for (std::size_t label = 0; label < 10; ++label) {
    const bool extreme = label == 0 || label == 9;
    EXPECT_NEAR(shape.labels[label] / accepted, extreme ? 0.17 : 0.08,
                5 * (extreme ? std::hypot(0.0059, 0.0068) : std::hypot(0.0043, 0.005)) + 0.01)
        << label;
  }
}

// The same quantities, and the shapes of the trees, against 2,000 rows made by the published
// program. False-alarm rate of each comparison: 1e-6.
TEST(ListOpsGenerator, MatchesTheReferenceSample) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "reference.tsv";
  const std::string missing = unpack_shared("listops/reference_val.tsv", path);
  if (!missing.empty()) GTEST_SKIP() << missing;
  Shape reference;
  read_listops(
      path, ListOpsFormat::kLongRangeArena,
      [&](const ListOpsRow& row) { reference.add(row.tokens, row.label); },
      [](const auto&, std::uint64_t line, const std::string& reason) {
        ADD_FAILURE() << line << ": " << reason;
      });
  ASSERT_EQ(reference.lengths.size(), 2000U);

  Shape ours;
  const ListOpsParameters parameters{
      .train_samples = 3000, .validation_samples = 0, .test_samples = 0, .seed = 6};
  generate_listops(parameters, 2, [&](std::size_t, const ListOpsSample& sample) {
    ours.add(Tokens(sample.tokens.begin(), sample.tokens.end()), sample.label);
  });
  EXPECT_LT(kolmogorov_ratio(ours.lengths, reference.lengths), 1);
  EXPECT_LT(kolmogorov_ratio(ours.lists, reference.lists), 1);
  EXPECT_LT(std::abs(mean_z(ours.lengths, reference.lengths)), kOneInAMillion);
  EXPECT_LT(std::abs(mean_z(ours.lists, reference.lists)), kOneInAMillion);
  EXPECT_LT(two_sample_z(ours.labels, reference.labels), kOneInAMillion);
  EXPECT_LT(kolmogorov_ratio(ours.digit_levels, reference.digit_levels), 1);
  EXPECT_LT(std::abs(mean_z(ours.digit_levels, reference.digit_levels)), kOneInAMillion);
  EXPECT_LT(two_sample_z(ours.root_arguments, reference.root_arguments), kOneInAMillion);
  EXPECT_LT(two_sample_z(ours.root_operators, reference.root_operators), kOneInAMillion);
  EXPECT_LT(two_sample_z(ours.operators, reference.operators), kOneInAMillion);
  EXPECT_LT(two_sample_z(ours.digits, reference.digits), kOneInAMillion);
}

}  // namespace
}  // namespace sbm::data
