#pragma once

#include <string_view>

#include "distributed/communicator.h"

namespace sbm::distributed {

/// Ways in which a job goes wrong, played out to the end to see how it ends: "abort", "unwind",
/// "hang", "kill" on rank 1, while the others wait for it; "nccl-error" and "nccl-hang" the same of
/// NCCL on a stand-in. Returns the exit code of this rank when
/// it gets so far; throws what the scenario throws.
int play_scenario(std::string_view name, Communicator& communicator);

}  // namespace sbm::distributed
