#include "data/wordpiece.h"

#include <fmt/format.h>
#include <unicode/utf16.h>

#include <string>
#include <utility>

#include "base/error.h"
#include "data/unicode_text.h"

namespace sbm::data {
namespace {

constexpr std::size_t kMaxTextBytes = std::size_t{1} << 28;

// A lone ideograph outside the compatibility blocks is its own lower case and decomposition.
bool is_plain_ideograph(char32_t character) {
  return (character >= 0x3400 && character < 0xF900) ||
         (character >= 0x20000 && character < 0x2F800);
}

void append_utf16(char32_t character, std::u16string& out) {
  if (character > 0xFFFF) {
    out += static_cast<char16_t>(U16_LEAD(character));
    out += static_cast<char16_t>(U16_TRAIL(character));
  } else {
    out += static_cast<char16_t>(character);
  }
}

}  // namespace

// Buffers of the words that are not all ASCII.
struct WordPieceTokenizer::Scratch {
  std::u16string word{};
  std::string bytes{};
  CaseBuffers case_buffers{};
};

WordPieceTokenizer::WordPieceTokenizer(Vocabulary vocabulary, const WordPieceOptions& options)
    : vocabulary_(std::move(vocabulary)), options_(options), trie_(vocabulary_.pieces()) {
  if (options_.max_word_length < 1 || options_.max_word_length > kMaxWordLength) {
    throw ConfigError(fmt::format("expected a longest word of 1 to {} characters, found {}",
                                  kMaxWordLength, options_.max_word_length));
  }
  roles_.fill(kNotAscii);
  for (std::uint8_t c = 0; c < 0x80; ++c) {
    const TextClass kind = text_class(c);
    if (kind == TextClass::kDropped) {
      roles_[c] = kDrop;
    } else if (kind == TextClass::kSpace) {
      roles_[c] = kSpace;
    } else if (is_punctuation(c)) {
      roles_[c] = kPunctuation;
      const char mark = static_cast<char>(c);
      const PieceTrie::Match match = trie_.longest({&mark, 1}, false);
      punctuation_ids_[c] = match.length == 1 ? match.id : vocabulary_.unknown();
    } else {
      roles_[c] = options_.lower_case && c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
    }
  }
}

void WordPieceTokenizer::append_ids(std::string_view text, std::vector<std::uint16_t>& ids) const {
  if (text.size() >= kMaxTextBytes) {
    throw DataError(fmt::format("expected a text of fewer than {} bytes, found {}", kMaxTextBytes,
                                text.size()));
  }
  Scratch scratch;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::string_view rest = text.substr(at);
    const std::size_t mark = ids.size();
    std::size_t used = ascii_word(rest, ids);
    if (used == 0) {
      // The lower case of a letter may depend on all of its word, so the word starts over.
      ids.resize(mark);
      used = any_word(rest, scratch, ids);
    }
    at += used;
  }
}

std::vector<std::uint16_t> WordPieceTokenizer::ids(std::string_view text) const {
  std::vector<std::uint16_t> ids;
  append_ids(text, ids);
  return ids;
}

// Appends the pieces of everything up to the next white space and returns the bytes used, that
// space included; 0, with `ids` in disorder, when a byte beyond ASCII comes before it.
std::size_t WordPieceTokenizer::ascii_word(std::string_view text,
                                           std::vector<std::uint16_t>& ids) const {
  std::array<char, kMaxWordLength> word;  // NOLINT: filled as far as it is read
  const auto limit = static_cast<std::size_t>(options_.max_word_length);
  std::size_t length = 0;
  const auto flush = [&] {
    if (length == 0) return;
    if (length > limit) {
      ids.push_back(vocabulary_.unknown());
    } else {
      append_pieces({word.data(), length}, ids);
    }
    length = 0;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<std::uint8_t>(text[i]);
    const std::uint8_t role = roles_[c];
    if (role > kPunctuation) [[likely]] {
      if (length < limit) word[length] = static_cast<char>(role);
      ++length;
    } else if (role == kSpace) {
      flush();
      return i + 1;
    } else if (role == kPunctuation) {
      flush();
      ids.push_back(punctuation_ids_[c]);
    } else if (role == kNotAscii) {
      return 0;
    }
  }
  flush();
  return text.size();
}

// The same for any characters: up to white space or an ideograph, or a single ideograph.
std::size_t WordPieceTokenizer::any_word(std::string_view text, Scratch& scratch,
                                         std::vector<std::uint16_t>& ids) const {
  scratch.word.clear();
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view before = rest;
    const std::int32_t decoded = take_character(rest);
    if (decoded < 0) continue;
    const auto character = static_cast<char32_t>(decoded);
    const TextClass kind = text_class(character);
    if (kind == TextClass::kWord) {
      append_utf16(character, scratch.word);
    } else if (kind == TextClass::kSpace) {
      break;
    } else if (kind == TextClass::kIdeograph) {
      if (!scratch.word.empty()) {
        rest = before;
        break;
      }
      if (is_plain_ideograph(character)) {
        scratch.bytes.clear();
        append_utf8(character, scratch.bytes);
        append_pieces(scratch.bytes, ids);
      } else {
        append_utf16(character, scratch.word);
      }
      break;
    }
  }
  if (!scratch.word.empty()) {
    split_word(options_.lower_case ? lower_without_accents(scratch.word, scratch.case_buffers)
                                   : std::u16string_view(scratch.word),
               scratch, ids);
  }
  return text.size() - rest.size();
}

// Splits punctuation out of a word and appends the pieces of what is between.
void WordPieceTokenizer::split_word(std::u16string_view word, Scratch& scratch,
                                    std::vector<std::uint16_t>& ids) const {
  int characters = 0;
  scratch.bytes.clear();
  const auto flush = [&] {
    if (characters > options_.max_word_length) {
      ids.push_back(vocabulary_.unknown());
    } else if (characters > 0) {
      append_pieces(scratch.bytes, ids);
    }
    characters = 0;
    scratch.bytes.clear();
  };
  for (std::size_t i = 0; i < word.size();) {
    UChar32 next = 0;
    U16_NEXT(word.data(), i, word.size(), next);
    const auto character = static_cast<char32_t>(next);
    if (is_punctuation(character)) {
      flush();
      append_utf8(character, scratch.bytes);
      characters = 1;
      flush();
    } else {
      if (characters <= options_.max_word_length) append_utf8(character, scratch.bytes);
      ++characters;
    }
  }
  flush();
}

// Greedy longest match; the whole word is unknown when a part of it is.
void WordPieceTokenizer::append_pieces(std::string_view word,
                                       std::vector<std::uint16_t>& ids) const {
  const std::size_t mark = ids.size();
  for (std::size_t at = 0; at < word.size();) {
    const PieceTrie::Match match = trie_.longest(word.substr(at), at > 0);
    if (match.length == 0) {
      ids.resize(mark);
      ids.push_back(vocabulary_.unknown());
      return;
    }
    ids.push_back(match.id);
    at += match.length;
  }
}

}  // namespace sbm::data
