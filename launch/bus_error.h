#pragma once

#include <string_view>

namespace sbm::launch {

/// From now on a SIGBUS ends the process with one message that names the mapped file: a file that
/// someone makes shorter while it is mapped, or a disk that fails, gives no other sign. Data files
/// (mapped shared and read-only) give exit code 3; for any other memory the signal's default action
/// follows the message.
void explain_bus_errors();

/// What the message begins with, e.g. "rank 1 on node07"; cut to 200 bytes.
void name_this_process(std::string_view who);

}  // namespace sbm::launch
