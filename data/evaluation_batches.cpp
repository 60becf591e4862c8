#include "data/evaluation_batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/checked.h"
#include "base/error.h"

namespace sbm::data {

std::int64_t evaluation_batch_count(const Dataset& dataset, std::int64_t micro_batch) {
  if (micro_batch < 1) {
    throw ConfigError(fmt::format("expected a micro-batch above 0, found {}", micro_batch));
  }
  return ceil_divide(checked_cast<std::int64_t>(dataset.size(), "samples"), micro_batch);
}

Batch evaluation_batch(const Dataset& dataset, std::int64_t index, std::int64_t micro_batch,
                       std::int64_t max_length, std::int64_t length_multiple) {
  const std::int64_t count = evaluation_batch_count(dataset, micro_batch);
  if (index < 0 || index >= count) {
    throw InternalError(fmt::format("evaluation micro-batch {} of {}", index, count));
  }
  const std::int64_t first = index * micro_batch;
  const std::int64_t size =
      std::min(micro_batch, checked_cast<std::int64_t>(dataset.size(), "samples") - first);
  std::vector<std::uint64_t> ids(static_cast<std::size_t>(size));
  std::iota(ids.begin(), ids.end(), static_cast<std::uint64_t>(first));
  return collate(dataset, ids, max_length, length_multiple);
}

}  // namespace sbm::data
