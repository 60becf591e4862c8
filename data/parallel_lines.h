#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "data/mapped_file.h"
#include "data/ordered_blocks.h"
#include "data/text_lines.h"

namespace sbm::data {

/// So many rows of a block are made ahead; with lines of 16 bytes and more, that is all of them.
constexpr std::size_t kMaxBlockRows = std::size_t{16} << 10;

/// How a file of lines is cut into pieces of work.
struct LineWork {
  int threads = 1;
  std::size_t block_bytes = std::size_t{256} << 10;  ///< at least 1; never changes the result
};

/// Parses every line of a text file on some threads and hands the results to this thread in order.
/// `parse(line, first)` sees a line without its LF or CRLF, and without a byte order mark when it
/// is the file's first; `take(number, row)` gets what it made, lines numbered from 1. What `take`
/// sees does not depend on the threads. Memory: four blocks a thread, and their rows, of which a
/// block holds at most kMaxBlockRows: the rest of one with more is parsed when it is taken. Throws
/// DataError "file:line" for a line of more than kMaxLineBytes, and whatever `parse` and `take`
/// throw.
template <typename Row>
void for_each_line(const MappedFile& file, const LineWork& work,
                   const std::function<Row(std::string_view line, bool first)>& parse,
                   const std::function<void(std::uint64_t number, Row& row)>& take) {
  struct Block {
    std::vector<Row> rows;
    std::string_view rest;  ///< behind the lines of `rows`
  };
  const std::string_view text = as_text(file);
  const std::uint64_t count = (text.size() + work.block_bytes - 1) / work.block_bytes;
  if (count == 0) return;
  const auto make = [&](std::uint64_t number) {
    Block block;
    if (number >= count) return block;
    const std::size_t begin = line_start(text, number * work.block_bytes, kMaxLineBytes);
    const std::size_t end = line_start(text, (number + 1) * work.block_bytes, kMaxLineBytes);
    block.rest = text.substr(begin, std::max(begin, end) - begin);
    if (number == 0) drop_byte_order_mark(block.rest);
    while (!block.rest.empty() && block.rows.size() < kMaxBlockRows) {
      std::string_view rest = block.rest;
      const std::string_view line = take_line(rest);
      if (line.size() > kMaxLineBytes) break;
      block.rows.push_back(parse(line, number == 0 && block.rows.empty()));
      block.rest = rest;
    }
    return block;
  };
  std::uint64_t line = 0;
  std::uint64_t taken = 0;
  OrderedBlocks<Block>::run(work.threads, make, [&](Block block) {
    for (Row& row : block.rows) take(++line, row);
    while (!block.rest.empty()) {
      Row row = parse(take_short_line(block.rest, file, line + 1), false);
      take(++line, row);
    }
    return ++taken < count;
  });
}

}  // namespace sbm::data
