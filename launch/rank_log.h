#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "distributed/communicator.h"

namespace sbm::launch {

/// A sink for one rank's log, <run>/logs/rank-N.log: appended, one line a call with the time,
/// flushed at once so that it tells the last thing a killed rank did. The file is opened at the
/// first call, which throws ConfigError when that fails.
std::function<void(const std::string&)> make_rank_log(
    const std::filesystem::path& run_directory, const distributed::Communicator& communicator);

}  // namespace sbm::launch
