#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "data/batch.h"
#include "data/word_piece_ids.h"

namespace sbm::data {

/// How tokens are chosen for the masked-language task; the defaults are those of
/// google-research/bert (create_pretraining_data.py).
struct MaskingRules {
  double share = 0.15;       ///< of a sample's tokens, special ones counted, in (0, 1]
  int max_predictions = 20;  ///< a sample, at least 1
  bool whole_words = false;  ///< all pieces of a word or none
};

/// Which tokens of one sample are to be predicted.
struct MaskedTokens {
  std::vector<std::int32_t> positions{};  ///< ascending
  std::vector<std::int32_t> labels{};     ///< the true id at each position
};

/// Throws ConfigError when a rule is out of range.
void check_masking_rules(const MaskingRules& rules);

/// Masks the tokens of one sample ([CLS] ... [SEP], no padding) in place, anew in each epoch. With
/// n tokens, min(max_predictions, max(1, round(share n))) of them are chosen, half to even, among
/// all but [CLS] and [SEP]; whole words that would exceed the number are passed over. Each chosen
/// token becomes [MASK] with probability 0.8, stays with 0.1, and becomes an id uniform over the
/// whole vocabulary with 0.1. A pure function: the draws are the stream (seed, kMaskedLanguage,
/// epoch, sample), so neither rank, batch, neighbours nor a resumed run change them. A contract.
/// `rules` are checked; tokens are ids of the vocabulary that `pieces` describes, whose size is
/// that of pieces.continues.
[[nodiscard]] MaskedTokens mask_tokens(const MaskingRules& rules, const WordPieceIds& pieces,
                                       std::uint64_t seed, std::uint64_t epoch,
                                       std::uint64_t sample, std::span<std::int32_t> tokens);

/// The epoch that evaluation masks under: no training comes to it, so a split has one set of masks,
/// and none that was trained on.
inline constexpr std::uint64_t kEvaluationEpoch = std::numeric_limits<std::uint64_t>::max();

/// mask_tokens() for each sample of a batch without labels; `epochs` [size]. Batch::token_labels is
/// then the true id where a token is to be predicted, else -1.
void mask_batch(const MaskingRules& rules, const WordPieceIds& pieces, std::uint64_t seed,
                std::span<const std::uint64_t> epochs, Batch& batch);

}  // namespace sbm::data
