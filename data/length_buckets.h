#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/dataset.h"

namespace sbm::data {

/// Padding of rows that keep their order: the width of the sampler's blocks.
inline constexpr std::int64_t kLengthMultiple = 64;

/// How samples of different lengths share micro-batches.
struct LengthBuckets {
  std::int64_t max_length = 0;  ///< tokens kept of a sample
  /// Least distance of two bucket edges; 0: samples keep their order, whatever their lengths.
  std::int64_t granularity = 0;
  /// 0: a sample is one sequence. Otherwise its two parts are, each cut to so many tokens.
  std::int64_t part_length = 0;
};

/// The bucket edge at or above `length` >= 1: a multiple of the granularity g or, from 16 g on, of
/// an eighth of the largest power of two below it, where that is more. So an octave has at most
/// eight edges, and above 8 g less than an eighth of a row is padding. For g = 0 it is a multiple
/// of kLengthMultiple.
std::int64_t bucket_edge(std::int64_t length, std::int64_t granularity);

/// Tokens of the longest sequence that the sample is to an encoder.
std::int64_t sequence_length(const Dataset& dataset, std::uint64_t id,
                             const LengthBuckets& buckets);

/// Cuts `ids` into micro-batches of `micro_batch` samples, a single one of them shorter when the
/// numbers do not divide. Ordered by (sequence length, id) before the cut, unless one bucket holds
/// all of them, or granularity is 0: then they keep their order, and so do the micro-batches.
/// Ordered ones are dealt by bit reversal of their number, so that every contiguous run has short
/// and long ones. A function of the arguments and the lengths alone.
std::vector<std::vector<std::uint64_t>> cut_by_length(const Dataset& dataset,
                                                      std::span<const std::uint64_t> ids,
                                                      std::int64_t micro_batch,
                                                      const LengthBuckets& buckets);

/// As collate() in dataset.h, padded to the bucket edge of the longest sample, at most max_length.
Batch collate(const Dataset& dataset, std::span<const std::uint64_t> ids,
              const LengthBuckets& buckets);

}  // namespace sbm::data
