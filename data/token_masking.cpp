#include "data/token_masking.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "base/error.h"
#include "base/random_stream.h"
#include "data/random_words.h"

namespace sbm::data {
namespace {

// Positions of one token, or of all pieces of a word.
using Candidate = std::vector<std::int32_t>;

std::vector<Candidate> candidates(const MaskingRules& rules, const WordPieceIds& pieces,
                                  std::span<const std::int32_t> tokens) {
  std::vector<Candidate> all;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::int32_t token = tokens[i];
    if (token == pieces.cls || token == pieces.sep) continue;
    const bool joins =
        rules.whole_words && !all.empty() && pieces.continues[static_cast<std::size_t>(token)];
    if (!joins) all.emplace_back();
    all.back().push_back(static_cast<std::int32_t>(i));
  }
  return all;
}

// 0.8 of the words of a stream are below it.
constexpr std::uint32_t kMaskThreshold = 3435973837U;

std::int32_t replacement(const WordPieceIds& pieces, std::int32_t token, RandomWords& random) {
  if (random.next32() < kMaskThreshold) return pieces.mask;
  if ((random.next32() >> 31) == 0) return token;
  return static_cast<std::int32_t>(
      random.below(static_cast<std::uint32_t>(pieces.continues.size())));
}

}  // namespace

void check_masking_rules(const MaskingRules& rules) {
  if (!(rules.share > 0 && rules.share <= 1)) {
    throw ConfigError(
        fmt::format("expected a share of masked tokens above 0, at most 1; found {}", rules.share));
  }
  if (rules.max_predictions < 1) {
    throw ConfigError(
        fmt::format("expected at least 1 prediction a sample, found {}", rules.max_predictions));
  }
}

MaskedTokens mask_tokens(const MaskingRules& rules, const WordPieceIds& pieces, std::uint64_t seed,
                         std::uint64_t epoch, std::uint64_t sample,
                         std::span<std::int32_t> tokens) {
  RandomWords random(stream_key(
      seed, {.purpose = StreamPurpose::kMaskedLanguage, .step = epoch, .sample = sample}));
  std::vector<Candidate> open = candidates(rules, pieces, tokens);
  // nearbyint rounds half to even, as Python's round() does.
  const double wanted = std::nearbyint(rules.share * static_cast<double>(tokens.size()));
  const auto count =
      static_cast<std::size_t>(std::min<double>(rules.max_predictions, std::max(1.0, wanted)));
  std::vector<std::pair<std::int32_t, std::int32_t>> chosen;  // position, true id
  // A shuffle that stops when enough is chosen.
  for (std::size_t i = 0; i < open.size() && chosen.size() < count; ++i) {
    const auto left = static_cast<std::uint32_t>(open.size() - i);
    std::swap(open[i], open[i + random.below(left)]);
    if (chosen.size() + open[i].size() > count) continue;
    for (const std::int32_t position : open[i]) {
      std::int32_t& token = tokens[static_cast<std::size_t>(position)];
      chosen.emplace_back(position, token);
      token = replacement(pieces, token, random);
    }
  }
  std::sort(chosen.begin(), chosen.end());
  MaskedTokens masked;
  for (const auto& [position, label] : chosen) {
    masked.positions.push_back(position);
    masked.labels.push_back(label);
  }
  return masked;
}

void mask_batch(const MaskingRules& rules, const WordPieceIds& pieces, std::uint64_t seed,
                std::span<const std::uint64_t> epochs, Batch& batch) {
  if (std::ssize(epochs) != batch.size) {
    throw InternalError(
        fmt::format("masking: {} epochs for {} samples", epochs.size(), batch.size));
  }
  batch.token_labels.assign(batch.tokens.size(), -1);
  for (std::size_t row = 0; row < epochs.size(); ++row) {
    const std::size_t begin = row * static_cast<std::size_t>(batch.padded_length);
    const auto tokens =
        std::span(batch.tokens).subspan(begin, static_cast<std::size_t>(batch.lengths[row]));
    const MaskedTokens masked =
        mask_tokens(rules, pieces, seed, epochs[row], batch.sample_ids[row], tokens);
    for (std::size_t i = 0; i < masked.positions.size(); ++i) {
      batch.token_labels[begin + static_cast<std::size_t>(masked.positions[i])] = masked.labels[i];
    }
  }
}

}  // namespace sbm::data
