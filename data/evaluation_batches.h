#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/batch.h"
#include "data/dataset.h"
#include "data/length_buckets.h"

namespace sbm::data {

/// A split is read in windows of so many micro-batches, so that ordering it by length holds the ids
/// of one window and no more.
inline constexpr std::int64_t kEvaluationWindow = 1024;

/// The micro-batches that a split is evaluated in: every sample once, window by window in the order
/// of the ids, each window cut_by_length(). They depend on nothing else, so any world size
/// evaluates the same ones.
class EvaluationBatches {
 public:
  /// `dataset` outlives the object. Throws ConfigError when micro_batch < 1.
  EvaluationBatches(const Dataset& dataset, std::int64_t micro_batch, const LengthBuckets& lengths);
  /// The same of the first `samples` of the split, at most all of them.
  EvaluationBatches(const Dataset& dataset, std::int64_t micro_batch, const LengthBuckets& lengths,
                    std::int64_t samples);

  [[nodiscard]] std::int64_t count() const { return count_; }
  /// Ids of micro-batch `index`, valid until those of another window are asked for.
  [[nodiscard]] std::span<const std::uint64_t> ids(std::int64_t index);
  [[nodiscard]] Batch batch(std::int64_t index);

 private:
  const Dataset& dataset_;
  std::int64_t samples_;
  std::int64_t micro_batch_;
  LengthBuckets lengths_;
  std::int64_t count_;
  std::int64_t window_ = -1;  ///< which one is cut
  std::vector<std::vector<std::uint64_t>> batches_;
};

}  // namespace sbm::data
