#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/batch.h"
#include "data/dataset.h"
#include "data/recipe.h"
#include "data/word_piece_ids.h"

namespace sbm::data {

constexpr std::uint64_t kDefaultShardBytes = std::uint64_t{64} << 20;

/// What holds for all samples of a data set.
struct DatasetDescription {
  DatasetRecipe recipe{};
  std::vector<std::string> splits{};  ///< e.g. "train", "validation", "test"
  LabelKind label_kind = LabelKind::kNone;
  std::vector<std::string> label_names{};  ///< by class id
  std::int32_t vocabulary_size = 0;
  /// Token ids are the stored tokens plus this (0 or 1): lets 256 bytes and a padding id fit u8.
  std::int32_t token_offset = 0;
  bool pairs = false;                         ///< samples have two parts
  std::vector<std::string> unlabelled{};      ///< those of `splits` that carry no labels
  std::optional<WordPieceIds> word_pieces{};  ///< of data whose tokens are to be masked
};

/// Writes a data set sample by sample. Memory: at most about one shard for each split.
class DatasetWriter {
 public:
  /// `folder` exists and is empty. A shard is closed when its elements reach `shard_bytes`.
  DatasetWriter(std::filesystem::path folder, const DatasetDescription& description,
                std::uint64_t shard_bytes = kDefaultShardBytes);
  ~DatasetWriter();
  DatasetWriter(const DatasetWriter&) = delete;
  DatasetWriter& operator=(const DatasetWriter&) = delete;

  /// Appends a sample to splits[split]. `sample` has tokens in the width that the vocabulary less
  /// the offset asks for (u8 up to 256), a first length when the samples are pairs, and the labels
  /// of the label kind, which are not looked at in an unlabelled split. Throws InternalError when
  /// it has not, or when a value is out of range; DataError when a full shard cannot be written.
  void add(std::size_t split, const SampleView& sample);

  /// Writes what is left and, last, the index, which lists the `skipped` rows and the `notes`.
  /// Returns the fingerprint. Throws DataError.
  std::string finish(const std::vector<SkippedRow>& skipped = {},
                     const std::vector<std::string>& notes = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sbm::data
