#include "data/listops_evaluator.h"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/listops_tokens.h"

namespace sbm::data {
namespace {

// An open list: its operator and how often each value occurred, which is all that any operator
// needs.
struct OpenList {
  std::uint8_t operation = 0;
  std::array<std::uint32_t, kListOpsClasses> counts{};
  std::uint32_t arguments = 0;
};

// The value at `rank` (from 0) of the sorted arguments.
std::int32_t ranked(const OpenList& list, std::uint32_t rank) {
  std::int32_t value = 0;
  for (std::uint32_t seen = list.counts[0]; seen <= rank;) {
    ++value;
    seen += list.counts[static_cast<std::size_t>(value)];
  }
  return value;
}

std::int32_t apply(const OpenList& list) {
  switch (list.operation) {
    case kListOpsMin:
      return ranked(list, 0);
    case kListOpsMax:
      return ranked(list, list.arguments - 1);
    case kListOpsMed:
      return (ranked(list, (list.arguments - 1) / 2) + ranked(list, list.arguments / 2)) / 2;
    default: {
      std::uint64_t sum = 0;
      for (std::size_t value = 0; value < list.counts.size(); ++value) {
        sum += value * list.counts[value];
      }
      return static_cast<std::int32_t>(sum % kListOpsClasses);
    }
  }
}

[[noreturn]] void fail(std::size_t position, const std::string& reason) {
  throw DataError(fmt::format("ListOps token {}: {}", position, reason));
}

}  // namespace

std::int32_t evaluate_listops(std::span<const std::uint8_t> tokens) {
  std::vector<OpenList> open;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::uint8_t token = tokens[i];
    std::int32_t value = 0;
    if (is_listops_operator(token)) {
      open.push_back({.operation = token});
      continue;
    }
    if (is_listops_digit(token)) {
      value = token - kListOpsDigit;
    } else if (token == kListOpsEnd) {
      if (open.empty()) fail(i, "expected an expression, found the end of a list");
      if (open.back().arguments == 0) fail(i, "expected an argument, found the end of the list");
      value = apply(open.back());
      open.pop_back();
    } else {
      fail(i, fmt::format("expected an id from 1 to 15, found {}", token));
    }
    if (open.empty()) {
      if (i + 1 != tokens.size()) {
        fail(i + 1, "expected the end of the sequence, found more after the expression");
      }
      return value;
    }
    ++open.back().counts[static_cast<std::size_t>(value)];
    ++open.back().arguments;
  }
  fail(tokens.size(), tokens.empty() ? "expected an expression, found nothing"
                                     : fmt::format("{} lists are not closed", open.size()));
}

}  // namespace sbm::data
