#pragma once

#include <functional>
#include <memory>

#include "distributed/communicator.h"

namespace sbm::distributed {

/// A group whose ranks are threads of this process, for tests: calls `body` once per rank, each on
/// its own thread, and returns when all are done. Rethrows the first error; ranks that then wait in
/// vain get a CommunicationError at once.
void run_local_group(int world_size, const std::function<void(Communicator&)>& body);

}  // namespace sbm::distributed
