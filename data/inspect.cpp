#include "data/inspect.h"

#include <algorithm>
#include <numeric>

#include "data/dataset.h"
#include "data/dataset_index.h"

namespace sbm::data {
namespace {

LengthStatistics statistics(std::vector<std::int64_t> lengths) {
  if (lengths.empty()) return {};
  std::sort(lengths.begin(), lengths.end());
  const auto sum = std::accumulate(lengths.begin(), lengths.end(), 0.0);
  const auto middle = static_cast<double>(lengths[(lengths.size() - 1) / 2]) +
                      static_cast<double>(lengths[lengths.size() / 2]);
  return {.min = lengths.front(),
          .max = lengths.back(),
          .mean = sum / static_cast<double>(lengths.size()),
          .median = middle / 2};
}

SplitSummary inspect_split(const std::filesystem::path& folder, const Split& split) {
  SplitSummary summary{.name = split.name(), .samples = split.samples(), .tokens = split.tokens()};
  for (const Shard& shard : split.shards()) {
    summary.shards.push_back({.file = shard.file(),
                              .samples = shard.samples(),
                              .bytes = shard.bytes(),
                              .xxh3_128 = shard.xxh3_128()});
  }
  const Dataset dataset = Dataset::open(folder, split.name());
  summary.labelled = dataset.label_kind() != LabelKind::kNone;
  if (summary.labelled) summary.label_counts.resize(dataset.label_names().size());
  std::vector<std::int64_t> lengths;
  std::vector<double> scores;
  for (std::uint64_t id = 0; id < dataset.size(); ++id) {
    const SampleView sample = dataset.sample(id);
    lengths.push_back(sample.length());
    if (dataset.label_kind() == LabelKind::kScore) scores.push_back(sample.score);
    if (sample.label >= 0) ++summary.label_counts[static_cast<std::size_t>(sample.label)];
    for (const std::uint8_t label : sample.token_labels) ++summary.label_counts[label];
  }
  summary.lengths = statistics(std::move(lengths));
  if (!scores.empty()) {
    const auto [least, greatest] = std::minmax_element(scores.begin(), scores.end());
    summary.scores = {.min = *least,
                      .max = *greatest,
                      .mean = std::accumulate(scores.begin(), scores.end(), 0.0) /
                              static_cast<double>(scores.size())};
  }
  const auto total =
      std::accumulate(summary.label_counts.begin(), summary.label_counts.end(), std::uint64_t{0});
  if (total > 0) {
    const auto largest = std::max_element(summary.label_counts.begin(), summary.label_counts.end());
    summary.majority_share = static_cast<double>(*largest) / static_cast<double>(total);
  }
  return summary;
}

}  // namespace

DatasetSummary inspect_dataset(const std::filesystem::path& folder) {
  const auto [index, fingerprint] = read_index(folder);
  DatasetSummary summary{.folder = folder,
                         .fingerprint = fingerprint,
                         .recipe = recipe_from(index.recipe()),
                         .label_kind = static_cast<LabelKind>(index.label_kind()),
                         .label_names = {index.label_names().begin(), index.label_names().end()},
                         .vocabulary_size = index.vocabulary_size(),
                         .pairs = index.pairs(),
                         .splits = {},
                         .skipped = skipped_rows(index),
                         .notes = {index.notes().begin(), index.notes().end()}};
  for (const Split& split : index.splits()) summary.splits.push_back(inspect_split(folder, split));
  return summary;
}

}  // namespace sbm::data
