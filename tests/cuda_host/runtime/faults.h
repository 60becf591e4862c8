#pragma once

namespace sbm::cuda_host {

/// From now on an access of a kernel to unmapped memory (a guard page behind a buffer or a stack)
/// fails the block instead of the process, on x86-64.
void catch_faults();

}  // namespace sbm::cuda_host
