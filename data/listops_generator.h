#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/philox.h"

namespace sbm::data {

/// Parameters of the published ListOps generator; the defaults are those of the Long Range Arena.
struct ListOpsParameters {
  std::int64_t train_samples = 96000;
  std::int64_t validation_samples = 2000;
  std::int64_t test_samples = 2000;
  std::int32_t max_depth = 10;      ///< nodes from the root to the deepest digit, both included
  std::int32_t max_arguments = 10;  ///< a list has 2 to so many arguments
  std::int32_t min_length = 500;    ///< tokens, exclusive
  std::int32_t max_length = 2000;   ///< tokens, exclusive
  std::uint64_t seed = 0;
};

/// One tree in prefix order (listops_tokens.h) and its value.
struct ListOpsSample {
  std::span<const std::uint8_t> tokens;
  std::int32_t label = 0;
};

/// Draws one tree by the published algorithm (reference: lra_benchmarks/data/listops.py): a node
/// below max_depth is a list with probability 1/4, else a digit; a list has
/// uniform 2..max_arguments arguments and a uniform operator; its length is 2 plus theirs. One
/// random word a node, in prefix order. Returns false, with `tokens` of no meaning, when the length
/// is not strictly between the limits; it gives up as soon as the nodes already promised reach
/// max_length, which changes neither which trees are accepted nor their probabilities.
bool draw_listops_tree(PhiloxKey key, const ListOpsParameters& parameters,
                       std::vector<std::uint8_t>& tokens);

/// Generates train, validation and test samples (splits 0, 1, 2) and hands each to `take`, in an
/// order and with contents that depend on the parameters alone, not on `threads` (>= 1). As
/// published: distinct trees are accepted until there are enough for all splits, and a random
/// permutation says which go to which split. `take` is called from the calling thread; what it
/// throws ends the generation.
/// Throws ConfigError when the parameters are out of range or (almost) no tree fits them.
void generate_listops(const ListOpsParameters& parameters, int threads,
                      const std::function<void(std::size_t split, const ListOpsSample&)>& take);

/// Throws ConfigError, saying what was expected, unless the parameters are usable.
void check_listops_parameters(const ListOpsParameters& parameters);

}  // namespace sbm::data
