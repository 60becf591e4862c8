#include "data/repeated_tokens.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/random_stream.h"
#include "data/generation_streams.h"
#include "data/random_words.h"

namespace sbm::data {
namespace {

// Ids 0 to length must fit the 16 bits of a token.
constexpr std::int32_t kMaxLength = 65535;
constexpr std::int64_t kMaxSamples = std::int64_t{1} << 40;

}  // namespace

void check_repeated_tokens_parameters(const RepeatedTokensParameters& parameters) {
  const auto within = [](const char* name, std::int64_t value, std::int64_t low,
                         std::int64_t high) {
    if (value < low || value > high) {
      throw ConfigError(fmt::format("data.repeated_tokens.{}: expected {} to {}, found {}", name,
                                    low, high, value));
    }
  };
  within("train_samples", parameters.train_samples, 0, kMaxSamples);
  within("validation_samples", parameters.validation_samples, 0, kMaxSamples);
  within("test_samples", parameters.test_samples, 0, kMaxSamples);
  within("length", parameters.length, 1, kMaxLength);
}

void draw_repeated_tokens(const RepeatedTokensParameters& parameters, std::uint32_t split,
                          std::uint64_t index, RepeatedTokensSample& sample) {
  RandomWords random(stream_key(
      parameters.seed, {.purpose = StreamPurpose::kDataGeneration,
                        .sample = index,
                        .sequence = split,
                        .site = static_cast<std::uint32_t>(GenerationSite::kRepeatedTokens)}));
  const auto length = static_cast<std::uint32_t>(parameters.length);
  std::vector<std::uint32_t> counts(length + 1);
  sample.tokens.clear();
  for (std::uint32_t i = 0; i < length; ++i) {
    const std::uint32_t token = 1 + random.below(length);
    ++counts[token];
    sample.tokens.push_back(static_cast<std::uint16_t>(token));
  }
  sample.labels.clear();
  for (const std::uint16_t token : sample.tokens) {
    sample.labels.push_back(counts[token] > 1 ? 1 : 0);
  }
}

}  // namespace sbm::data
