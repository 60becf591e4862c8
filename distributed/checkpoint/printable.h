#pragma once

#include <string>
#include <string_view>

namespace sbm::distributed::checkpoint {

/// `text` in single quotes for a message. It comes from a file that nobody vouches for, so
/// everything but printable ASCII is escaped as \xNN (a terminal must not obey it) and long text is
/// cut after 128 bytes.
std::string printable(std::string_view text);

}  // namespace sbm::distributed::checkpoint
