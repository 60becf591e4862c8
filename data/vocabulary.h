#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/recipe.h"
#include "data/word_piece_ids.h"

namespace sbm::data {

/// SourceDescription::name of every vocabulary.
constexpr char kVocabularySource[] = "vocabulary";

/// A WordPiece vocabulary is at most so large; the published ones have less than 1 MiB.
constexpr std::size_t kMaxVocabularyBytes = std::size_t{4} << 20;

/// The pieces of a published vocab.txt: one a line, the id is the line's number from 0; pieces that
/// continue a word begin with "##".
class Vocabulary {
 public:
  /// Reads and checks a file: UTF-8, LF or CRLF, no empty line, no piece twice, at most 65,536
  /// pieces and kMaxVocabularyBytes, [PAD] with id 0 (the padding of every batch), and [UNK],
  /// [CLS], [SEP] and [MASK] present. Throws DataError with file, line, expected and found.
  static Vocabulary read(const std::filesystem::path& path);

  /// The same from the contents of a file; `name` is what messages call it.
  static Vocabulary parse(std::string_view contents, const std::string& name);

  [[nodiscard]] std::size_t size() const { return pieces_.size(); }
  /// `id` < size().
  [[nodiscard]] const std::string& piece(std::size_t id) const { return pieces_[id]; }
  [[nodiscard]] const std::vector<std::string>& pieces() const { return pieces_; }

  [[nodiscard]] std::uint16_t unknown() const { return unknown_; }
  [[nodiscard]] std::uint16_t cls() const { return cls_; }
  [[nodiscard]] std::uint16_t sep() const { return sep_; }
  [[nodiscard]] std::uint16_t mask() const { return mask_; }

  /// What a data set that is to be masked keeps.
  [[nodiscard]] WordPieceIds word_piece_ids() const;

  /// Size and XXH3-128 of the contents under the name kVocabularySource: how the recipe of a data
  /// set says which vocabulary its ids belong to, whatever the file was called.
  [[nodiscard]] const SourceDescription& source() const { return source_; }

 private:
  std::vector<std::string> pieces_;
  std::uint16_t unknown_ = 0;
  std::uint16_t cls_ = 0;
  std::uint16_t sep_ = 0;
  std::uint16_t mask_ = 0;
  SourceDescription source_;
};

}  // namespace sbm::data
