#pragma once

#include <cstdint>
#include <vector>

namespace sbm::data {

/// What masking asks of a vocabulary: a data set keeps it, so that training needs no vocabulary
/// file.
struct WordPieceIds {
  std::int32_t cls = 0;
  std::int32_t sep = 0;
  std::int32_t mask = 0;
  std::vector<bool> continues{};  ///< by id: the piece continues a word ("##...")
  friend bool operator==(const WordPieceIds&, const WordPieceIds&) = default;
};

}  // namespace sbm::data
