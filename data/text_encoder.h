#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "data/wordpiece.h"

namespace sbm::data {

/// A text or a pair of texts as a model reads it.
struct EncodedText {
  std::vector<std::uint16_t> tokens{};
  std::int32_t first_length = 0;  ///< of a pair: tokens up to and including the first [SEP]
};

/// Lays texts out as the published BERT code does for fine-tuning: [CLS] A [SEP], or
/// [CLS] A [SEP] B [SEP]. Too long: A alone is cut at its end; of a pair, the last token of the
/// longer text goes (of B, when they are equally long) until both fit. Const members may be called
/// from any thread.
class TextEncoder {
 public:
  /// Shortest max_length: a token beside the special ones of a pair.
  static constexpr std::int64_t kMinLength = 4;

  /// `max_length` counts the special tokens. `tokenizer` outlives the encoder. Throws ConfigError
  /// when max_length is below kMinLength.
  TextEncoder(const WordPieceTokenizer& tokenizer, std::int64_t max_length);

  [[nodiscard]] EncodedText single(std::string_view text) const;
  [[nodiscard]] EncodedText pair(std::string_view a, std::string_view b) const;

 private:
  const WordPieceTokenizer& tokenizer_;
  std::size_t max_length_;
};

}  // namespace sbm::data
