#pragma once

#include <nlohmann/json_fwd.hpp>

namespace sbm::launch {

/// The answer of `--json`: one line on stdout. Names of files may hold any bytes; those that are no
/// UTF-8 become U+FFFD, because JSON has no other way to say them.
void print_json(const nlohmann::json& answer);

}  // namespace sbm::launch
