#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sbm::trainer {

/// The candidate with the smallest edit distance to `name` (insertions, deletions, substitutions
/// and swaps of neighbours, case ignored), the first of equals; empty when none is close enough to
/// be a likely slip: at most a third of the longer name's letters, but always one.
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

/// "; did you mean "X"?" or nothing: the tail of an error about an unknown name.
std::string suggestion(std::string_view name, std::span<const std::string> candidates);

/// `"a", "b" or "c"`: what was expected.
std::string list_names(std::span<const std::string> names);

}  // namespace sbm::trainer
