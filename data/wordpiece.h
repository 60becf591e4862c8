#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "data/piece_trie.h"
#include "data/vocabulary.h"

namespace sbm::data {

/// How a text becomes words.
struct WordPieceOptions {
  /// Lower case, canonical decomposition, accents dropped: what the uncased vocabularies ask for.
  bool lower_case = true;
  /// A word of more characters becomes [UNK], 1 to kMaxWordLength. The published code uses 200;
  /// some later ones 100.
  int max_word_length = 200;
};

constexpr int kMaxWordLength = 1000;

/// The published BERT tokenizer (google-research/bert, tokenization.py): clean, split, lower-case,
/// split punctuation, greedy longest match; byte sequences that are no UTF-8 vanish. A "[SEP]" in a
/// text is three words, never the piece. Linear in the text. Const members may be called from any
/// thread.
class WordPieceTokenizer {
 public:
  /// Throws ConfigError on options out of range.
  explicit WordPieceTokenizer(Vocabulary vocabulary, const WordPieceOptions& options = {});

  /// Appends the ids of `text`, without [CLS] and [SEP]. Throws DataError for a text of 2^28 bytes
  /// or more.
  void append_ids(std::string_view text, std::vector<std::uint16_t>& ids) const;

  /// The same as a vector of its own.
  [[nodiscard]] std::vector<std::uint16_t> ids(std::string_view text) const;

  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }
  [[nodiscard]] const WordPieceOptions& options() const { return options_; }

 private:
  struct Scratch;

  // What the ASCII characters of a text do; every other entry is the character, lower-cased if so
  // asked, that joins the word.
  enum AsciiRole : std::uint8_t { kDrop = 0, kSpace = 1, kNotAscii = 2, kPunctuation = 3 };

  std::size_t ascii_word(std::string_view text, std::vector<std::uint16_t>& ids) const;
  std::size_t any_word(std::string_view text, Scratch& scratch,
                       std::vector<std::uint16_t>& ids) const;
  void split_word(std::u16string_view word, Scratch& scratch,
                  std::vector<std::uint16_t>& ids) const;
  void append_pieces(std::string_view word, std::vector<std::uint16_t>& ids) const;

  Vocabulary vocabulary_;
  WordPieceOptions options_;
  PieceTrie trie_;
  std::array<std::uint8_t, 256> roles_{};
  std::array<std::uint16_t, 128> punctuation_ids_{};
};

}  // namespace sbm::data
