#pragma once

namespace sbm::launch {

/// Makes the allocator keep what is freed. A step allocates the tensors of the step before it once
/// more; giving them back to the system in between costs a page fault for every 4 KiB of them, a
/// tenth of an attention step. Call it before the first thread starts.
void keep_freed_memory();

}  // namespace sbm::launch
