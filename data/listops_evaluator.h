#pragma once

#include <cstdint>
#include <span>

namespace sbm::data {

/// The value, 0 to 9, of a ListOps expression in prefix order (listops_tokens.h): MIN, MAX, SM =
/// sum modulo 10, MED = integer part of the median, the mean of the two middle values for an even
/// count. Time and memory linear in the tokens; nested to any depth. Throws DataError, naming the
/// position, when the tokens are no complete expression.
std::int32_t evaluate_listops(std::span<const std::uint8_t> tokens);

}  // namespace sbm::data
