#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

// What the tokenizer needs to know about characters, by the Unicode data of ICU. The rules are
// those of the published BERT tokenizer, which asks Python's unicodedata.
namespace sbm::data {

/// What becomes of a character before a text is cut into words.
enum class TextClass : std::uint8_t {
  kWord,       ///< part of a word (punctuation included: it is looked at after lower-casing)
  kSpace,      ///< separates words: TAB, LF, CR, category Zs, U+2028, U+2029
  kDropped,    ///< vanishes, and its neighbours join: U+0000, U+FFFD, categories Cc and Cf
  kIdeograph,  ///< a word of its own: the blocks of CJK ideographs
};

/// The class of any code point.
[[nodiscard]] TextClass text_class(char32_t character);

/// True for ASCII 33-47, 58-64, 91-96 and 123-126, and for category P*.
[[nodiscard]] bool is_punctuation(char32_t character);

/// Cuts the next character off `text`, which is not empty. Returns -1 for a byte sequence that is
/// no UTF-8; what is cut off then holds no start of a valid one, as with Python's errors="ignore".
[[nodiscard]] std::int32_t take_character(std::string_view& text);

/// Position of the first byte sequence in `text` that is no UTF-8, or npos.
[[nodiscard]] std::size_t find_bad_utf8(std::string_view text);

/// Appends the UTF-8 bytes of a code point that is no surrogate.
void append_utf8(char32_t character, std::string& out);

/// Working memory of lower_without_accents(), so that many calls share it.
struct CaseBuffers {
  std::u16string lower{};
  std::u16string decomposed{};
};

/// Lower case by the root locale (one word: the final sigma looks at its neighbours), canonical
/// decomposition, and without characters of category Mn. The result lies in `buffers` and is valid
/// until the next call. `word` has fewer than 2^28 units. Throws InternalError when ICU fails.
[[nodiscard]] std::u16string_view lower_without_accents(std::u16string_view word,
                                                        CaseBuffers& buffers);

}  // namespace sbm::data
