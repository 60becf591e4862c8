#include "data/text_encoder.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace sbm::data {

TextEncoder::TextEncoder(const WordPieceTokenizer& tokenizer, std::int64_t max_length)
    : tokenizer_(tokenizer), max_length_(static_cast<std::size_t>(max_length)) {
  if (max_length < kMinLength) {
    throw ConfigError(fmt::format("expected samples of at least {} tokens, found a limit of {}",
                                  kMinLength, max_length));
  }
}

EncodedText TextEncoder::single(std::string_view text) const {
  EncodedText encoded;
  encoded.tokens.push_back(tokenizer_.vocabulary().cls());
  tokenizer_.append_ids(text, encoded.tokens);
  encoded.tokens.resize(std::min(encoded.tokens.size(), max_length_ - 1));
  encoded.tokens.push_back(tokenizer_.vocabulary().sep());
  return encoded;
}

EncodedText TextEncoder::pair(std::string_view a, std::string_view b) const {
  const std::vector<std::uint16_t> second = tokenizer_.ids(b);
  EncodedText encoded;
  encoded.tokens.push_back(tokenizer_.vocabulary().cls());
  tokenizer_.append_ids(a, encoded.tokens);
  std::size_t keep_a = encoded.tokens.size() - 1;
  std::size_t keep_b = second.size();
  const std::size_t room = max_length_ - 3;
  while (keep_a + keep_b > room) --(keep_a > keep_b ? keep_a : keep_b);
  encoded.tokens.resize(1 + keep_a);
  encoded.tokens.push_back(tokenizer_.vocabulary().sep());
  encoded.first_length = static_cast<std::int32_t>(encoded.tokens.size());
  encoded.tokens.insert(encoded.tokens.end(), second.begin(),
                        second.begin() + static_cast<std::ptrdiff_t>(keep_b));
  encoded.tokens.push_back(tokenizer_.vocabulary().sep());
  return encoded;
}

}  // namespace sbm::data
