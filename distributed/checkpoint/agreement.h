#pragma once

#include <functional>
#include <string>

#include "distributed/communicator.h"

namespace sbm::distributed::checkpoint {

/// Does one rank's own part, without collectives; what went wrong comes back as text, so that the
/// rank still takes part in what the others wait for. Empty: nothing went wrong.
std::string attempt(const std::function<void()>& work);

/// Collective. When `error` is not empty on some rank, every rank throws the same CheckpointError:
/// "<what>: rank 2 on host: <error>", for each such rank.
void agree(Communicator& communicator, const std::string& what, const std::string& error);

/// Collective. Throws the same CheckpointError on every rank when `value` is not equal on all;
/// `name` says what differs ("weights").
void agree_equal(Communicator& communicator, const std::string& what, const std::string& name,
                 const std::string& value);

}  // namespace sbm::distributed::checkpoint
