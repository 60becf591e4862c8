#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

// The tokens of ListOps. The published encoder numbers them in an order that differs from run to
// run; this table is fixed. As there, 0 is padding and 16 stands for an unknown token.
namespace sbm::data {

enum ListOpsToken : std::uint8_t {
  kListOpsPad = 0,
  kListOpsMin = 1,
  kListOpsMax = 2,
  kListOpsMed = 3,
  kListOpsSm = 4,
  kListOpsEnd = 5,    ///< "]", written X by the published preprocessing
  kListOpsDigit = 6,  ///< "0"; the other digits follow
  kListOpsUnknown = 16,
};

constexpr std::int32_t kListOpsVocabulary = 17;
constexpr std::int32_t kListOpsClasses = 10;

[[nodiscard]] constexpr bool is_listops_operator(std::uint8_t token) {
  return token >= kListOpsMin && token <= kListOpsSm;
}
[[nodiscard]] constexpr bool is_listops_digit(std::uint8_t token) {
  return token >= kListOpsDigit && token < kListOpsDigit + kListOpsClasses;
}

/// "[MIN", ..., "]", "0", ... "9" as they stand in the published files, for ids 1 to 15.
constexpr std::array<const char*, 16> kListOpsText = {
    "", "[MIN", "[MAX", "[MED", "[SM", "]", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

/// The names of the ten classes, by class id.
std::vector<std::string> listops_label_names();

}  // namespace sbm::data
