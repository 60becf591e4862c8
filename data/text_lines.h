#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "data/mapped_file.h"

// Text files as lines. Lines end at LF alone: U+2028 and U+0085 are text.
namespace sbm::data {

/// A line of a source file has at most so many bytes.
constexpr std::size_t kMaxLineBytes = std::size_t{1} << 20;

/// The bytes of a file as characters.
[[nodiscard]] std::string_view as_text(const MappedFile& file);

/// Cuts the next line off `text`, without its LF or CRLF; a last line needs none.
[[nodiscard]] std::string_view take_line(std::string_view& text);

/// The same for line number `line` of `file`. Throws as refuse_long_line() when it has more than
/// kMaxLineBytes, having looked at no more than them.
[[nodiscard]] std::string_view take_short_line(std::string_view& text, const MappedFile& file,
                                               std::uint64_t line);

/// Cuts a line at every `separator` and stores its fields, as many as `fields` takes. Returns how
/// many it has, at least 1. Quotes mean nothing.
std::size_t split_fields(std::string_view line, char separator, std::span<std::string_view> fields);

/// Removes a UTF-8 byte order mark from the front of a file's text.
void drop_byte_order_mark(std::string_view& text);

/// The first position from `at` on where a line begins, or the end of the text. Looks at no more
/// than about `max_line` bytes: when no line ends within them, a position inside the line.
[[nodiscard]] std::size_t line_start(std::string_view text, std::size_t at, std::size_t max_line);

/// Lines of a file, a last one without LF included.
[[nodiscard]] std::uint64_t count_lines(const MappedFile& file);

/// Throws DataError "file:line: ..." that names kMaxLineBytes.
[[noreturn]] void refuse_long_line(const MappedFile& file, std::uint64_t line);

/// What a message shows of a text from a file: its first 40 bytes, printable.
[[nodiscard]] std::string excerpt(std::string_view text);

}  // namespace sbm::data
