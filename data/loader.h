#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "data/batch.h"
#include "data/dataset.h"
#include "data/length_buckets.h"
#include "data/token_masking.h"

namespace sbm::data {

/// Which micro-batches a rank gets. Step t takes the samples at positions t * global_batch ... of
/// the run, cut_by_length() into micro-batches; position p belongs to epoch p / N and is element
/// p % N of that epoch's permutation, where N is epoch_size(): so training batches straddle epochs,
/// unless drop_last leaves out what would, and the whole state of the order is one integer.
struct TrainingPlan {
  std::uint64_t seed = 0;
  std::int64_t global_batch = 0;       ///< samples a step; a multiple of micro_batch
  std::int64_t micro_batch = 0;        ///< samples a micro-batch
  std::int64_t first_micro_batch = 0;  ///< this rank's contiguous run of the step: [first, last)
  std::int64_t last_micro_batch = 0;
  std::int64_t first_step = 0;  ///< where to begin (resume)
  LengthBuckets lengths;
  /// Each sample is masked by its seed, epoch and id; asks for Dataset::word_pieces().
  std::optional<MaskingRules> masking{};
  bool drop_last = false;  ///< an epoch is whole global batches
  int prefetch = 2;        ///< micro-batches prepared ahead by a thread of the loader
};

/// Samples of an epoch: all of them or, with drop_last, the first whole global batches of its
/// permutation; other ones are left out in each epoch. 0 when there is no whole one.
std::uint64_t epoch_size(const Dataset& dataset, std::int64_t global_batch, bool drop_last);

/// Hands out this rank's micro-batches of a training run in order, for ever. One consumer thread.
class TrainingLoader {
 public:
  /// `dataset` outlives the loader. Throws ConfigError on an impossible plan.
  TrainingLoader(const Dataset& dataset, const TrainingPlan& plan);
  ~TrainingLoader();
  TrainingLoader(const TrainingLoader&) = delete;
  TrainingLoader& operator=(const TrainingLoader&) = delete;

  /// The next micro-batch. Rethrows what the preparing thread threw.
  Batch next();

 private:
  class Worker;
  std::unique_ptr<Worker> worker_;
};

/// The id at `position` of a run over `size` samples: epoch = position / size, keyed permutation of
/// that epoch (stream kDataOrder), O(1) memory and time.
std::uint64_t sample_at(std::uint64_t seed, std::uint64_t size, std::uint64_t position);

}  // namespace sbm::data
