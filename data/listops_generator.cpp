#include "data/listops_generator.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "base/checked.h"
#include "base/content_hash.h"
#include "base/error.h"
#include "base/random_stream.h"
#include "data/generation_streams.h"
#include "data/listops_evaluator.h"
#include "data/listops_tokens.h"
#include "data/ordered_blocks.h"
#include "data/permutation.h"
#include "data/random_words.h"

namespace sbm::data {
namespace {

constexpr std::uint64_t kCandidatesPerBlock = 512;

// So many candidates in a row without a new tree mean that the limits admit (almost) none.
constexpr std::uint64_t kPatience = std::uint64_t{1} << 21;

// Bounds that keep the arithmetic and the memory of a single tree small.
constexpr std::int32_t kMaxDepth = 1000;
constexpr std::int32_t kMaxArguments = 10000;
constexpr std::int32_t kMaxLength = 1 << 20;
constexpr std::int64_t kMaxSamples = std::int64_t{1} << 40;

// The accepted trees of a block of candidates, one after the other.
struct TreeBlock {
  struct Tree {
    std::uint64_t candidate = 0;  ///< within the block
    std::size_t begin = 0;
    std::size_t end = 0;
    std::int32_t label = 0;
    ContentHash hash;
  };
  std::vector<std::uint8_t> tokens;
  std::vector<Tree> trees;
};

PhiloxKey stream(const ListOpsParameters& parameters, GenerationSite site, std::uint64_t sample) {
  return stream_key(parameters.seed, {.purpose = StreamPurpose::kDataGeneration,
                                      .sample = sample,
                                      .site = static_cast<std::uint32_t>(site)});
}

TreeBlock make_block(const ListOpsParameters& parameters, std::uint64_t block) {
  TreeBlock result;
  std::vector<std::uint8_t> tokens;
  for (std::uint64_t i = 0; i < kCandidatesPerBlock; ++i) {
    const PhiloxKey key =
        stream(parameters, GenerationSite::kListOpsTree, block * kCandidatesPerBlock + i);
    if (!draw_listops_tree(key, parameters, tokens)) continue;
    const std::size_t begin = result.tokens.size();
    result.tokens.insert(result.tokens.end(), tokens.begin(), tokens.end());
    result.trees.push_back({.candidate = i,
                            .begin = begin,
                            .end = result.tokens.size(),
                            .label = evaluate_listops(tokens),
                            .hash = content_hash(std::as_bytes(std::span(tokens)))});
  }
  return result;
}

// The longest tree there is: every node a list with all its arguments, down to the last level.
std::int64_t longest_tree(const ListOpsParameters& parameters) {
  std::int64_t longest = 1;
  for (std::int32_t depth = 1; depth < parameters.max_depth && longest <= kMaxLength; ++depth) {
    longest = 2 + parameters.max_arguments * longest;
  }
  return longest;
}

}  // namespace

void check_listops_parameters(const ListOpsParameters& parameters) {
  const auto within = [](const char* name, std::int64_t value, std::int64_t low,
                         std::int64_t high) {
    if (value < low || value > high) {
      throw ConfigError(
          fmt::format("data.listops.{}: expected {} to {}, found {}", name, low, high, value));
    }
  };
  within("train_samples", parameters.train_samples, 0, kMaxSamples);
  within("validation_samples", parameters.validation_samples, 0, kMaxSamples);
  within("test_samples", parameters.test_samples, 0, kMaxSamples);
  within("max_depth", parameters.max_depth, 1, kMaxDepth);
  within("max_arguments", parameters.max_arguments, 2, kMaxArguments);
  within("min_length", parameters.min_length, 0, kMaxLength - 2);
  within("max_length", parameters.max_length, parameters.min_length + 2, kMaxLength);
  if (longest_tree(parameters) <= parameters.min_length) {
    throw ConfigError(fmt::format(
        "data.listops.min_length: no tree of max_depth {} and max_arguments {} is longer "
        "than {} tokens, "
        "but more than {} are asked",
        parameters.max_depth, parameters.max_arguments, longest_tree(parameters),
        parameters.min_length));
  }
}

bool draw_listops_tree(PhiloxKey key, const ListOpsParameters& parameters,
                       std::vector<std::uint8_t>& tokens) {
  RandomWords random(key);
  tokens.clear();
  // Tokens that the tree has at least: those written, and one for each argument still to come.
  std::int64_t promised = 1;
  std::vector<std::int32_t> missing;  ///< arguments still to come of each open list
  do {
    const std::uint32_t word = random.next32();
    const std::uint64_t rest = word & 0x3FFFFFFFU;  // uniform in [0, 2^30)
    const auto depth = static_cast<std::int32_t>(missing.size()) + 1;
    if (depth < parameters.max_depth && (word >> 30) == 0) {
      const auto arguments =
          2 + static_cast<std::int32_t>(
                  ((rest >> 2) * static_cast<std::uint64_t>(parameters.max_arguments - 1)) >> 28);
      promised += 1 + arguments;
      if (promised >= parameters.max_length) return false;
      tokens.push_back(static_cast<std::uint8_t>(kListOpsMin + (rest & 3)));
      missing.push_back(arguments);
      continue;
    }
    tokens.push_back(static_cast<std::uint8_t>(kListOpsDigit + ((rest * kListOpsClasses) >> 30)));
    while (!missing.empty() && --missing.back() == 0) {
      tokens.push_back(kListOpsEnd);
      missing.pop_back();
    }
  } while (!missing.empty());
  return promised > parameters.min_length && promised < parameters.max_length;
}

void generate_listops(const ListOpsParameters& parameters, int threads,
                      const std::function<void(std::size_t split, const ListOpsSample&)>& take) {
  check_listops_parameters(parameters);
  const auto train = static_cast<std::uint64_t>(parameters.train_samples);
  const auto validation = static_cast<std::uint64_t>(parameters.validation_samples);
  const std::uint64_t total =
      train + validation + static_cast<std::uint64_t>(parameters.test_samples);
  if (total == 0) return;
  const Permutation assignment(stream(parameters, GenerationSite::kListOpsAssignment, 0), total);
  std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
  std::uint64_t fruitless = 0;
  std::uint64_t accepted = 0;

  OrderedBlocks<TreeBlock>::run(
      threads, [&parameters](std::uint64_t block) { return make_block(parameters, block); },
      [&](const TreeBlock& block) {
        for (const TreeBlock::Tree& tree : block.trees) {
          if (!seen.emplace(tree.hash.high, tree.hash.low).second) continue;
          fruitless = 0;
          const std::uint64_t place = assignment(accepted);
          take(place < train                ? 0
               : place < train + validation ? 1
                                            : 2,
               {.tokens = std::span(block.tokens).subspan(tree.begin, tree.end - tree.begin),
                .label = tree.label});
          if (++accepted == total) return false;
        }
        fruitless += kCandidatesPerBlock;
        if (fruitless > kPatience) {
          throw ConfigError(fmt::format(
              "ListOps: found {} of {} distinct trees with more than {} and fewer than {} tokens, "
              "and no further one among {} candidates; ask for fewer samples or wider limits",
              accepted, total, parameters.min_length, parameters.max_length, fruitless));
        }
        return true;
      });
}

}  // namespace sbm::data
