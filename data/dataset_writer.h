#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/batch.h"
#include "data/dataset.h"
#include "data/recipe.h"

namespace sbm::data {

constexpr std::uint64_t kDefaultShardBytes = std::uint64_t{64} << 20;

/// What holds for all samples of a data set.
struct DatasetDescription {
  DatasetRecipe recipe{};
  std::vector<std::string> splits{};  ///< e.g. "train", "validation", "test"
  LabelKind label_kind = LabelKind::kNone;
  std::vector<std::string> label_names{};  ///< by class id
  std::int32_t vocabulary_size = 0;
};

/// Writes a data set sample by sample. Memory: at most about one shard for each split.
class DatasetWriter {
 public:
  /// `folder` exists and is empty. A shard is closed when its elements reach `shard_bytes`.
  DatasetWriter(std::filesystem::path folder, DatasetDescription description,
                std::uint64_t shard_bytes = kDefaultShardBytes);
  ~DatasetWriter();
  DatasetWriter(const DatasetWriter&) = delete;
  DatasetWriter& operator=(const DatasetWriter&) = delete;

  /// Appends a sample to splits[split]. `sample` has tokens in the width that the vocabulary asks
  /// for (u8 up to 256) and the labels of the label kind. Throws InternalError when it has not, or
  /// when a token or label is out of range; DataError when a full shard cannot be written.
  void add(std::size_t split, const SampleView& sample);

  /// Writes what is left and, last, the index. Returns the fingerprint. Throws DataError.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sbm::data
