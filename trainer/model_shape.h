#pragma once

#include <cstdint>
#include <optional>

#include "data/dataset.h"
#include "data/length_buckets.h"
#include "data/token_masking.h"
#include "trainer/config.pb.h"
#include "trainer/parameters.h"

namespace sbm::trainer {

/// What the data set decides about a model, from its labelled splits where `dataset` has no labels
/// itself; data that are to be masked make a masked-language model. The documents of a retrieval
/// task are encoded apart; other pairs are segments.
ModelShape model_shape(const data::Dataset& dataset);

/// How samples of the data are batched. A batch holds model.max_length tokens of a sample, or
/// everything when the encoder cuts each of two documents by itself.
data::LengthBuckets length_buckets(const data::Dataset& dataset, const Config& config);

/// How the run masks tokens; nothing unless its task is masked language.
std::optional<data::MaskingRules> masking_rules(const Config& config);

/// EvaluationOptions::whole_batches of the run.
std::int64_t whole_evaluation_batches(const Training& training);

/// Throws ConfigError when model.max_length would cut a pair: the builder shortens the longer of
/// two sentences, a cut at the end could take all of the second.
void require_whole_pairs(const data::Dataset& dataset, const Model& model);

}  // namespace sbm::trainer
