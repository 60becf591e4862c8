#pragma once

#include <cstdint>
#include <vector>

namespace sbm::data {

/// What a sample carries as its target.
enum class LabelKind : std::int32_t {
  kNone,      ///< unlabelled
  kClass,     ///< one class id a sample, in Batch::labels
  kPerToken,  ///< one class id a token, in Batch::token_labels; -1 on padding
  kScore,     ///< one number a sample, in Batch::scores
};

/// One micro-batch in host memory. Rows are samples, padded at the end to `padded_length`.
struct Batch {
  std::int64_t size = 0;                  ///< samples
  std::int64_t padded_length = 0;         ///< tokens a row, padding included
  std::vector<std::uint64_t> sample_ids;  ///< [size], global ids within the split
  std::vector<std::int32_t> tokens;       ///< [size, padded_length], 0 on padding
  std::vector<std::uint8_t> valid;        ///< [size, padded_length], 1 on real tokens
  std::vector<std::int32_t> lengths;      ///< [size]
  std::int64_t granularity = 0;           ///< LengthBuckets::granularity that it is padded by
  /// [size], only when samples have two parts: tokens of the first one, its special tokens
  /// included; at most `lengths`. The token at position p belongs to part p >= first_lengths.
  std::vector<std::int32_t> first_lengths;
  std::vector<std::int32_t> labels;  ///< [size] for kClass, else empty
  std::vector<float> scores;         ///< [size] for kScore, else empty
  /// [size, padded_length] for kPerToken and after mask_batch(), else empty; -1: no target.
  std::vector<std::int32_t> token_labels;
};

}  // namespace sbm::data
