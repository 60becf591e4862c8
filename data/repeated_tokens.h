#pragma once

#include <cstdint>
#include <vector>

namespace sbm::data {

/// Parameters of the synthetic task "synthetic/repeated-tokens": `length` tokens drawn uniformly
/// from as many symbols; the label of a token says whether it occurs again in the sequence. Full
/// attention solves it, attention of low rank does not.
struct RepeatedTokensParameters {
  std::int64_t train_samples = 65536;
  std::int64_t validation_samples = 1024;
  std::int64_t test_samples = 2048;
  std::int32_t length = 256;
  std::uint64_t seed = 0;
};

/// One sequence: token ids 1 to length, and for each token 1 when it occurs elsewhere, else 0.
struct RepeatedTokensSample {
  std::vector<std::uint16_t> tokens;
  std::vector<std::uint8_t> labels;
};

/// Sample `index` of split 0 (train), 1 (validation) or 2 (test); depends on the seed, the length,
/// the split and the index alone.
void draw_repeated_tokens(const RepeatedTokensParameters& parameters, std::uint32_t split,
                          std::uint64_t index, RepeatedTokensSample& sample);

/// Throws ConfigError, saying what was expected, unless the parameters are usable.
void check_repeated_tokens_parameters(const RepeatedTokensParameters& parameters);

}  // namespace sbm::data
