#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "distributed/communicator.h"

namespace sbm::launch {

/// <run>/logs/rank-N.log.
std::filesystem::path rank_log_path(const std::filesystem::path& run_directory, int rank);

/// Appends a line of that form and syncs it, without the logger and without memory from the heap:
/// for a process that is about to end and whose locks may be held by a thread that hangs. What
/// cannot be written is left out. The disk, or the lock of the time zone, may still block: the
/// caller sets an alarm.
void append_last_words(const std::filesystem::path& log, std::string_view host,
                       std::string_view text);

/// A sink for one rank's log: appended, one line a call with the time,
/// flushed at once so that it tells the last thing a killed rank did. The file is opened at the
/// first call, which throws ConfigError when that fails.
std::function<void(const std::string&)> make_rank_log(
    const std::filesystem::path& run_directory, const distributed::Communicator& communicator);

}  // namespace sbm::launch
