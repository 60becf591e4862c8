#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "data/mapped_file.h"

// Text files as lines. Lines end at LF alone: U+2028 and U+0085 are text.
namespace sbm::data {

/// The bytes of a file as characters.
[[nodiscard]] std::string_view as_text(const MappedFile& file);

/// Cuts the next line off `text`, without its LF or CRLF; a last line needs none.
[[nodiscard]] std::string_view take_line(std::string_view& text);

/// What a message shows of a text from a file: its first 40 bytes, printable.
[[nodiscard]] std::string excerpt(std::string_view text);

}  // namespace sbm::data
