#pragma once

#include <cstdint>

#include "data/batch.h"
#include "data/dataset.h"

namespace sbm::data {

/// How many micro-batches of `micro_batch` samples a split has when it is read in order; the last
/// one may be short. Throws ConfigError when micro_batch < 1.
std::int64_t evaluation_batch_count(const Dataset& dataset, std::int64_t micro_batch);

/// Micro-batch `index` of them: samples index * micro_batch and following, padded as by collate().
/// The cut depends on nothing else, so any world size evaluates the same micro-batches.
Batch evaluation_batch(const Dataset& dataset, std::int64_t index, std::int64_t micro_batch,
                       std::int64_t max_length, std::int64_t length_multiple);

}  // namespace sbm::data
