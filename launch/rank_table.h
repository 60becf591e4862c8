#pragma once

#include <string>

#include "distributed/communicator.h"

namespace sbm::launch {

/// Processors that this process may run on: its affinity mask, which mpirun and Slurm narrow.
int usable_processors();

/// Collective. A line a rank: host, compute threads, usable processors, program version; a warning
/// below when versions differ or a rank has more threads than processors.
std::string rank_table(distributed::Communicator& communicator, int threads);

}  // namespace sbm::launch
