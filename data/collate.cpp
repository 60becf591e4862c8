#include <fmt/format.h>

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"
#include "data/dataset.h"
#include "data/length_buckets.h"

namespace sbm::data {

namespace {

// The samples of a batch, and the tokens that are kept of the longest.
struct Rows {
  std::vector<SampleView> views;
  std::int64_t longest = 0;
};

Rows gather(const Dataset& dataset, std::span<const std::uint64_t> ids, std::int64_t max_length) {
  Rows rows;
  rows.views.reserve(ids.size());
  for (const std::uint64_t id : ids) {
    rows.views.push_back(dataset.sample(id));
    rows.longest = std::max(rows.longest, std::min(rows.views.back().length(), max_length));
  }
  return rows;
}

Batch assemble(const Dataset& dataset, std::span<const std::uint64_t> ids,
               const std::vector<SampleView>& views, std::int64_t max_length,
               std::int64_t padded_length) {
  Batch batch;
  batch.size = std::ssize(ids);
  batch.padded_length = padded_length;
  const auto cells = checked_multiply(batch.size, batch.padded_length);
  if (!cells) throw InternalError("the cells of a batch do not fit 64 bits");
  const auto total = static_cast<std::size_t>(*cells);

  batch.sample_ids.assign(ids.begin(), ids.end());
  batch.tokens.assign(total, 0);
  batch.valid.assign(total, 0);
  const bool per_token = dataset.label_kind() == LabelKind::kPerToken;
  if (per_token) batch.token_labels.assign(total, -1);
  for (std::size_t row = 0; row < views.size(); ++row) {
    const SampleView& view = views[row];
    const std::int64_t cut = std::min(view.length(), max_length);
    const auto length = static_cast<std::size_t>(cut);
    const std::size_t begin = row * static_cast<std::size_t>(batch.padded_length);
    const auto row_tokens = batch.tokens.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto token_id = [offset = dataset.token_offset()](auto stored) {
      return std::int32_t{stored} + offset;
    };
    if (view.tokens16.empty()) {
      std::transform(view.tokens8.begin(), view.tokens8.begin() + cut, row_tokens, token_id);
    } else {
      std::transform(view.tokens16.begin(), view.tokens16.begin() + cut, row_tokens, token_id);
    }
    std::fill_n(batch.valid.begin() + static_cast<std::ptrdiff_t>(begin), length, std::uint8_t{1});
    batch.lengths.push_back(checked_cast<std::int32_t>(length, "sample length"));
    if (dataset.pairs()) {
      batch.first_lengths.push_back(std::min(view.first_length, batch.lengths.back()));
    }
    if (dataset.label_kind() == LabelKind::kClass) batch.labels.push_back(view.label);
    if (dataset.label_kind() == LabelKind::kScore) batch.scores.push_back(view.score);
    if (per_token) {
      std::copy_n(view.token_labels.begin(), length,
                  batch.token_labels.begin() + static_cast<std::ptrdiff_t>(begin));
    }
  }
  return batch;
}

}  // namespace

Batch collate(const Dataset& dataset, std::span<const std::uint64_t> ids, std::int64_t max_length,
              std::int64_t length_multiple) {
  if (max_length < 1 || length_multiple < 1) {
    throw InternalError(fmt::format("a batch of sequences cut to {} and padded to multiples of {}",
                                    max_length, length_multiple));
  }
  const Rows rows = gather(dataset, ids, max_length);
  // Not by round_up: a huge multiple must not overflow before it is cut to max_length.
  const std::int64_t missing = (length_multiple - rows.longest % length_multiple) % length_multiple;
  const std::int64_t padded =
      missing > max_length - rows.longest ? max_length : rows.longest + missing;
  return assemble(dataset, ids, rows.views, max_length, padded);
}

Batch collate(const Dataset& dataset, std::span<const std::uint64_t> ids,
              const LengthBuckets& buckets) {
  const Rows rows = gather(dataset, ids, buckets.max_length);
  const std::int64_t padded =
      rows.longest == 0
          ? 0
          : std::min(bucket_edge(rows.longest, buckets.granularity), buckets.max_length);
  Batch batch = assemble(dataset, ids, rows.views, buckets.max_length, padded);
  batch.granularity = buckets.granularity;
  return batch;
}

}  // namespace sbm::data
