#pragma once

#include <cstddef>
#include <iosfwd>
#include <string>

#include "data/wordpiece.h"

namespace sbm::data {

/// A line of a text to tokenize is shorter.
constexpr std::size_t kMaxTextLine = std::size_t{64} << 20;

/// Reads UTF-8 lines from an open file, pipe or terminal and writes for each one JSON array of ids,
/// without [CLS] and [SEP], on a line of its own. What has come in is answered before more is
/// waited for. Memory: the longest line and its ids. `name` is what messages call the input. Throws
/// DataError when reading fails or a line is too long; Error when writing fails.
void tokenize_lines(int descriptor, const std::string& name, const WordPieceTokenizer& tokenizer,
                    std::ostream& out);

}  // namespace sbm::data
