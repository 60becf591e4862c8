#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/batch.h"
#include "data/dataset_index.pb.h"
#include "data/recipe.h"
#include "data/shard_reader.h"
#include "data/word_piece_ids.h"

namespace sbm::data {

constexpr std::uint32_t kIndexVersion = 1;
constexpr char kIndexFile[] = "index.pb";
constexpr char kIndexTextFile[] = "index.textproto";

/// The shards hold token ids in at most 16 bits.
constexpr std::int32_t kMaxVocabulary = 65536;
/// Labels of tokens are stored in 8 bits.
constexpr std::size_t kMaxTokenClasses = 256;

/// Scores are finite and of smaller magnitude.
constexpr std::int64_t kScoreLimit = 1000000;

/// Position of the tokens in every shard.
constexpr std::size_t kTokensColumn = 0;
/// Position of the label, the score or the labels of the tokens, where a split has them.
constexpr std::size_t kLabelColumn = 1;
/// Position of the first lengths of pairs, given what the split's samples carry.
constexpr std::size_t first_length_column(LabelKind kind) {
  return kind == LabelKind::kNone ? 1 : 2;
}

/// An index as read, and its identity.
struct LoadedIndex {
  DatasetIndex index;
  std::string fingerprint;
};

/// Reads and checks `folder`/index.pb: checksum, canonical form, and every field within its range,
/// sums and file names included. Throws DataError.
LoadedIndex read_index(const std::filesystem::path& folder);

/// Writes the text form and then, last, index.pb. Returns the fingerprint. Throws DataError.
std::string write_index(const std::filesystem::path& folder, const DatasetIndex& index);

/// The text form of an index.
std::string index_text(const DatasetIndex& index);

/// A recipe as the index holds it, and back.
Recipe recipe_message(const DatasetRecipe& recipe);
DatasetRecipe recipe_from(const Recipe& message);

/// "train/shard-00000.sbm" and so on.
std::string shard_name(const std::string& split, std::size_t number);

/// The rows that the index lists as skipped.
std::vector<SkippedRow> skipped_rows(const DatasetIndex& index);

/// The word pieces that the index describes, if any.
std::optional<WordPieceIds> word_pieces_from(const DatasetIndex& index);

/// The same as the index holds it.
WordPieces word_pieces_message(const WordPieceIds& ids);

/// What the samples of `split` carry: kNone when it is unlabelled.
LabelKind split_label_kind(const DatasetIndex& index, const Split& split);

/// Whether stored tokens fit 8 bits.
bool narrow_tokens(std::int32_t vocabulary_size, std::int32_t token_offset);

/// The columns of a shard of this split, with the range of their elements.
std::vector<ExpectedColumn> shard_columns(const DatasetIndex& index, const Split& split);

/// Opens a shard of `folder` and compares it with its entry in the index. Throws DataError.
ShardReader open_shard(const std::filesystem::path& folder, const DatasetIndex& index,
                       const Split& split, const Shard& shard);

}  // namespace sbm::data
