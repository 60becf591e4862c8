#pragma once

#include "distributed/communicator.h"
#include "distributed/device_stream.h"
#include "distributed/nccl_library.h"

// What the ranks settle by host memory before NCCL starts.
namespace sbm::distributed {

/// Throws on every rank alike: CommunicationError when some rank's library is older than the
/// headers it was built with, of another major version, or not the same as rank 0's; ConfigError
/// when two ranks of a host share a GPU. Tests that mean to share one give each rank its own
/// NCCL_HOSTID, by which NCCL takes them for hosts with one GPU each. Collective.
void check_nccl_ranks(Communicator& control, NcclLibrary& library, DeviceStreams& streams);

/// Rank 0's new id, on every rank. Throws CommunicationError on all when it cannot be made.
NcclId share_nccl_id(Communicator& control, NcclLibrary& library);

}  // namespace sbm::distributed
