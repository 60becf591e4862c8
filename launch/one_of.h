#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

namespace sbm::launch {

/// Takes one of `names`; the error lists them, says what was found and the nearest of them.
CLI::Validator one_of(std::vector<std::string> names);

}  // namespace sbm::launch
