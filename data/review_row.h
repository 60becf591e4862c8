#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "data/mapped_file.h"

// Tables of film reviews: a header, then path TAB label TAB text.
namespace sbm::data {

/// Reviews longer than this are unusable rows; the longest published one has 13,704 bytes.
constexpr std::size_t kMaxReviewBytes = std::size_t{1} << 20;

/// The fields of a row that are used; they point into the row.
struct ReviewRow {
  std::string_view label;
  std::string_view text;
};

/// Throws DataError "file:1: ..." unless the first line of `file` is the header.
void check_review_header(const MappedFile& file, std::string_view line);

/// Splits a row at its first two TABs only: texts hold TABs. Returns what is wrong with it, or
/// nothing.
std::string split_review(std::string_view line, ReviewRow& row);

/// What is wrong with the length of a text, or nothing.
std::string review_length_problem(std::string_view text);

}  // namespace sbm::data
