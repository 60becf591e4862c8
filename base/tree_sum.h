#pragma once

#include <cstdint>

namespace sbm {

/// Where the sum over [begin, end) splits into sum(begin, m) + sum(m, end): the first half gets the
/// odd leaf (design, section 3.2). end - begin >= 2.
[[nodiscard]] constexpr std::int64_t tree_split(std::int64_t begin, std::int64_t end) {
  return begin + (end - begin + 1) / 2;
}

/// leaf(begin) + ... + leaf(end - 1) in the order of the tree, which depends on the number of
/// leaves only: so every world size, which merely decides who computes which leaf, gets the same
/// bits. `leaf` maps an index to a Value; Value needs operator+. end > begin.
template <typename Leaf>
[[nodiscard]] auto tree_sum(std::int64_t begin, std::int64_t end, const Leaf& leaf)
    -> decltype(leaf(begin)) {
  if (end - begin == 1) return leaf(begin);
  const std::int64_t middle = tree_split(begin, end);
  return tree_sum(begin, middle, leaf) + tree_sum(middle, end, leaf);
}

}  // namespace sbm
