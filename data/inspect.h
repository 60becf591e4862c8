#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/batch.h"
#include "data/recipe.h"

// What `sbm data inspect` shows.
namespace sbm::data {

/// Tokens of the samples of a split; all 0 when it has none.
struct LengthStatistics {
  std::int64_t min = 0;
  std::int64_t max = 0;
  double mean = 0;
  double median = 0;
};

struct SplitSummary {
  std::string name{};
  std::uint64_t samples = 0;
  std::uint64_t tokens = 0;
  LengthStatistics lengths{};
  /// By class id: samples with this label, or tokens when each token has one.
  std::vector<std::uint64_t> label_counts{};
  /// Share of the most frequent label: what a constant answer scores. 0 without labels.
  double majority_share = 0;
  bool labelled = false;
  /// Scores of the samples, when they carry some.
  struct ScoreStatistics {
    double min = 0;
    double max = 0;
    double mean = 0;
  } scores{};
  struct ShardSummary {
    std::string file;
    std::uint64_t samples = 0;
    std::uint64_t bytes = 0;
    std::string xxh3_128;
  };
  std::vector<ShardSummary> shards{};
};

struct DatasetSummary {
  std::filesystem::path folder{};
  std::string fingerprint{};
  DatasetRecipe recipe{};  ///< task, generator, parameters, seed, source files
  LabelKind label_kind = LabelKind::kNone;
  std::vector<std::string> label_names{};
  std::int32_t vocabulary_size = 0;
  bool pairs = false;  ///< samples have two parts
  std::vector<SplitSummary> splits{};
  std::vector<SkippedRow> skipped{};
  std::vector<std::string> notes{};
};

/// Reads the whole data set. Throws DataError when it is damaged.
DatasetSummary inspect_dataset(const std::filesystem::path& folder);

}  // namespace sbm::data
