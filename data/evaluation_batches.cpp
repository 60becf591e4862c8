#include "data/evaluation_batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/checked.h"
#include "base/error.h"

namespace sbm::data {
namespace {

std::int64_t samples_of(const Dataset& dataset) {
  return checked_cast<std::int64_t>(dataset.size(), "samples");
}

std::int64_t batch_count(std::int64_t samples, std::int64_t micro_batch) {
  if (micro_batch < 1) {
    throw ConfigError(fmt::format("expected a micro-batch above 0, found {}", micro_batch));
  }
  return ceil_divide(samples, micro_batch);
}

}  // namespace

EvaluationBatches::EvaluationBatches(const Dataset& dataset, std::int64_t micro_batch,
                                     const LengthBuckets& lengths)
    : EvaluationBatches(dataset, micro_batch, lengths, samples_of(dataset)) {}

EvaluationBatches::EvaluationBatches(const Dataset& dataset, std::int64_t micro_batch,
                                     const LengthBuckets& lengths, std::int64_t samples)
    : dataset_(dataset),
      samples_(std::min(samples, samples_of(dataset))),
      // No larger than the split, so that a window's samples fit an integer.
      micro_batch_(std::min(micro_batch, std::max<std::int64_t>(1, samples_))),
      lengths_(lengths),
      count_(batch_count(samples_, micro_batch)) {}

std::span<const std::uint64_t> EvaluationBatches::ids(std::int64_t index) {
  if (index < 0 || index >= count_) {
    throw InternalError(fmt::format("evaluation micro-batch {} of {}", index, count_));
  }
  const std::int64_t window = index / kEvaluationWindow;
  if (window != window_) {
    const std::int64_t first = window * kEvaluationWindow * micro_batch_;
    const std::int64_t size = std::min(kEvaluationWindow * micro_batch_, samples_ - first);
    std::vector<std::uint64_t> ids(static_cast<std::size_t>(size));
    std::iota(ids.begin(), ids.end(), static_cast<std::uint64_t>(first));
    batches_ = cut_by_length(dataset_, ids, micro_batch_, lengths_);
    window_ = window;
  }
  return batches_[static_cast<std::size_t>(index % kEvaluationWindow)];
}

Batch EvaluationBatches::batch(std::int64_t index) {
  return collate(dataset_, ids(index), lengths_);
}

}  // namespace sbm::data
