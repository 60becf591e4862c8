#pragma once

#include <vector>

#include "distributed/communicator.h"
#include "launch/finding.h"
#include "trainer/gpus.h"

namespace sbm::launch {

/// Collective. What the GPU side has and lacks, and what each rank of this job would compute on:
/// how the program was built, driver and GPUs, the choice. Only ranks that could not go together
/// are a bad finding; a machine without a GPU is none.
std::vector<Finding> gpu_findings(distributed::Communicator& communicator,
                                  const trainer::Machine& machine);

}  // namespace sbm::launch
