#pragma once

#include "distributed/communicator.h"

namespace sbm::distributed {

/// The ranks that mpirun started, for every test of this program. Every rank runs every test, in
/// the same order.
Communicator& world();

}  // namespace sbm::distributed
