#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "data/source_files.h"

namespace sbm::data {

/// The two published file formats of ListOps.
enum class ListOpsFormat {
  kLongRangeArena,  ///< header "Source<TAB>Target", then source TAB label, CRLF (LF is accepted)
  kNyu,             ///< label TAB source, no header, LF (CRLF is accepted)
};

/// A row: its tokens (listops_tokens.h; the round brackets of the binary tree are dropped) and the
/// label that stands in the file.
struct ListOpsRow {
  std::uint64_t line = 0;  ///< from 1
  std::vector<std::uint8_t> tokens;
  std::int32_t label = 0;
};

/// Hands every row of a file to `take`, in order. A row with a wrong number of fields, an unknown
/// token, unbalanced brackets, a label that is no digit, or an expression that is not worth its
/// label goes to `bad`: the copies of this data set that lost their "]" tokens are recognised by
/// that. Throws DataError "file:line" at a wrong header and at a line of more than kMaxLineBytes,
/// which bounds the memory that a row takes.
void read_listops(const std::filesystem::path& path, ListOpsFormat format,
                  const std::function<void(const ListOpsRow&)>& take, const BadRow& bad);

}  // namespace sbm::data
