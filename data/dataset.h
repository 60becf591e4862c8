#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/batch.h"
#include "data/recipe.h"
#include "data/word_piece_ids.h"

namespace sbm::data {

/// One sample as it lies in the mapped shard; valid as long as the Dataset lives.
struct SampleView {
  /// Token ids less Dataset::token_offset(), in the narrower of the two that fits all of them.
  std::span<const std::uint8_t> tokens8{};
  std::span<const std::uint16_t> tokens16{};
  std::int32_t first_length = 0;                 ///< tokens of the first of two parts; 0: one part
  std::int32_t label = -1;                       ///< class id; -1 without
  float score = 0;                               ///< kScore only
  std::span<const std::uint8_t> token_labels{};  ///< kPerToken only, one a token
  [[nodiscard]] std::int64_t length() const {
    return static_cast<std::int64_t>(tokens8.size() + tokens16.size());
  }
};

/// One split ("train", "validation", "test") of a data set folder: memory-mapped shards behind one
/// checked index. Opening checks the index, every shard's size, header and footer; the blocks
/// themselves are checked at first touch. Const members may be called from any thread.
class Dataset {
 public:
  /// Throws DataError (file, what was expected, what was found).
  static Dataset open(const std::filesystem::path& folder, const std::string& split);

  Dataset(Dataset&&) noexcept;
  Dataset& operator=(Dataset&&) noexcept;
  ~Dataset();

  [[nodiscard]] std::uint64_t size() const;       ///< samples in the split
  [[nodiscard]] const std::string& task() const;  ///< e.g. "lra/listops"
  [[nodiscard]] const std::string& split() const;
  /// What the samples of this split carry: kNone when the split is unlabelled, whatever the others
  /// of the data set carry.
  [[nodiscard]] LabelKind label_kind() const;
  /// What the labelled splits of the data set carry.
  [[nodiscard]] LabelKind task_label_kind() const;
  /// Whether samples have two parts: SampleView::first_length, Batch::first_lengths.
  [[nodiscard]] bool pairs() const;
  [[nodiscard]] const std::vector<std::string>& label_names() const;  ///< by class id
  /// Token ids are below it. Padding is filled with 0, which is a real token in data without
  /// an id to spare (pixels): Batch::valid alone says what is padding.
  [[nodiscard]] std::int32_t vocabulary_size() const;
  /// Stored tokens plus this are token ids: 1 where bytes are stored as they are, else 0.
  [[nodiscard]] std::int32_t token_offset() const;
  /// What masking asks of the vocabulary; nothing when the data set is not made for it.
  [[nodiscard]] const std::optional<WordPieceIds>& word_pieces() const;
  /// XXH3-128 in hex of the vocabulary file that the ids belong to; empty for ids that no file
  /// decided (bytes, pixels, symbols).
  [[nodiscard]] const std::string& vocabulary_hash() const;
  /// Unusable rows of the source files of all splits, which a build was allowed to skip.
  [[nodiscard]] const std::vector<SkippedRow>& skipped() const;
  [[nodiscard]] std::int64_t longest() const;  ///< tokens of the longest sample
  /// XXH3-128 in hex of the folder's index: the identity of the data, kept in checkpoints.
  [[nodiscard]] const std::string& fingerprint() const;
  /// Throws DataError when a block of the shard does not match its checksum.
  [[nodiscard]] SampleView sample(std::uint64_t id) const;
  /// SampleView::length() and first_length without touching the tokens. Throw as sample().
  [[nodiscard]] std::int64_t length(std::uint64_t id) const;
  [[nodiscard]] std::int32_t first_length(std::uint64_t id) const;

 private:
  struct State;
  explicit Dataset(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Builds a padded batch from samples `ids`. Sequences are cut to max_length; padded_length is the
/// longest of them rounded up to a multiple of `length_multiple`, at most max_length.
Batch collate(const Dataset& dataset, std::span<const std::uint64_t> ids, std::int64_t max_length,
              std::int64_t length_multiple);

}  // namespace sbm::data
