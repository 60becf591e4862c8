#include "data/unicode_text.h"

#include <fmt/format.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>

#include <cstddef>

#include "base/checked.h"
#include "base/error.h"

namespace sbm::data {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

// The list of the published tokenizer, which leaves out later extensions, kana and hangul.
constexpr std::array<Range, 8> kIdeographs = {{{0x3400, 0x4DBF},
                                               {0x4E00, 0x9FFF},
                                               {0xF900, 0xFAFF},
                                               {0x20000, 0x2A6DF},
                                               {0x2A700, 0x2B73F},
                                               {0x2B740, 0x2B81F},
                                               {0x2B820, 0x2CEAF},
                                               {0x2F800, 0x2FA1F}}};

bool is_ideograph(char32_t character) {
  if (character < kIdeographs.front().first) return false;
  for (const Range& range : kIdeographs) {
    if (character >= range.first && character <= range.last) return true;
  }
  return false;
}

constexpr std::int32_t kMaxUnits = 1 << 28;

// Runs an ICU function that writes into a buffer and says how much it needed.
template <typename Function>
void fill(std::u16string& out, std::size_t expected, const char* what, const Function& function) {
  out.resize(expected);
  for (;;) {
    UErrorCode status = U_ZERO_ERROR;
    const std::int32_t needed = function(out.data(), static_cast<std::int32_t>(out.size()), status);
    if (status == U_BUFFER_OVERFLOW_ERROR) {
      out.resize(static_cast<std::size_t>(needed));
      continue;
    }
    if (U_FAILURE(status)) {
      throw InternalError(fmt::format("ICU: {} failed: {}", what, u_errorName(status)));
    }
    out.resize(static_cast<std::size_t>(needed));
    return;
  }
}

const UNormalizer2* decomposer() {
  UErrorCode status = U_ZERO_ERROR;
  const UNormalizer2* instance = unorm2_getNFDInstance(&status);
  if (U_FAILURE(status)) {
    throw InternalError(fmt::format("ICU: no data for decomposition: {}", u_errorName(status)));
  }
  return instance;
}

}  // namespace

TextClass text_class(char32_t character) {
  if (character == ' ' || character == '\t' || character == '\n' || character == '\r' ||
      character == 0x2028 || character == 0x2029) {
    return TextClass::kSpace;
  }
  if (character == 0 || character == 0xFFFD) return TextClass::kDropped;
  switch (u_charType(static_cast<UChar32>(character))) {
    case U_CONTROL_CHAR:
    case U_FORMAT_CHAR:
      return TextClass::kDropped;
    case U_SPACE_SEPARATOR:
      return TextClass::kSpace;
    default:
      return is_ideograph(character) ? TextClass::kIdeograph : TextClass::kWord;
  }
}

bool is_punctuation(char32_t character) {
  if (character < 0x80) {
    return (character >= 33 && character <= 47) || (character >= 58 && character <= 64) ||
           (character >= 91 && character <= 96) || (character >= 123 && character <= 126);
  }
  return (U_GET_GC_MASK(static_cast<UChar32>(character)) & U_GC_P_MASK) != 0;
}

std::int32_t take_character(std::string_view& text) {
  // The bound keeps ICU's 32-bit positions right for any text: no sequence is longer than 4 bytes.
  const auto size = static_cast<std::int32_t>(std::min<std::size_t>(text.size(), 8));
  std::int32_t position = 0;
  UChar32 character = 0;
  U8_NEXT(text.data(), position, size, character);
  text.remove_prefix(static_cast<std::size_t>(position));
  return character;
}

std::size_t find_bad_utf8(std::string_view text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t at = text.size() - rest.size();
    if (take_character(rest) < 0) return at;
  }
  return std::string_view::npos;
}

void append_utf8(char32_t character, std::string& out) {
  std::array<std::uint8_t, U8_MAX_LENGTH> bytes{};
  std::size_t length = 0;
  U8_APPEND_UNSAFE(bytes.data(), length, static_cast<UChar32>(character));
  out.append(reinterpret_cast<const char*>(bytes.data()), length);
}

std::u16string_view lower_without_accents(std::u16string_view word, CaseBuffers& buffers) {
  const auto length = checked_cast<std::int32_t>(word.size(), "length of a word");
  if (length >= kMaxUnits) throw InternalError(fmt::format("a word of {} units", length));
  fill(buffers.lower, word.size() + 8, "lower case",
       [&](char16_t* out, std::int32_t capacity, UErrorCode& status) {
         return u_strToLower(out, capacity, word.data(), length, "", &status);
       });
  const UNormalizer2* const nfd = decomposer();
  fill(buffers.decomposed, 2 * buffers.lower.size() + 8, "decomposition",
       [&](char16_t* out, std::int32_t capacity, UErrorCode& status) {
         return unorm2_normalize(nfd, buffers.lower.data(),
                                 static_cast<std::int32_t>(buffers.lower.size()), out, capacity,
                                 &status);
       });
  std::u16string& text = buffers.decomposed;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t begin = i;
    UChar32 character = 0;
    U16_NEXT(text.data(), i, text.size(), character);
    if (u_charType(character) == U_NON_SPACING_MARK) continue;
    for (std::size_t j = begin; j < i; ++j) text[kept++] = text[j];
  }
  return std::u16string_view(text).substr(0, kept);
}

}  // namespace sbm::data
