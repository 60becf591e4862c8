#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

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

/// Hands every row of a file to `take`, in order. Throws DataError with file, line and reason at a
/// wrong header, a wrong number of fields, an unknown token, unbalanced brackets, a label that is
/// no digit, or an expression that is not worth its label: the copies of this data set that lost
/// their
/// "]" tokens are recognised by that.
void read_listops(const std::filesystem::path& path, ListOpsFormat format,
                  const std::function<void(const ListOpsRow&)>& take);

}  // namespace sbm::data
