#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "distributed/nccl_communicator.h"
#include "tests/distributed/stand_in_nccl.h"
#include "tests/distributed/stand_in_streams.h"
#include "tests/distributed_mpi/world.h"

namespace sbm::distributed {

/// NcclCommunicator over the ranks of world(), on stand-ins. The streams belong to the
/// communicator.
struct StandInGroup {
  /// Collective. `device` empty: a GPU of each rank's own.
  explicit StandInGroup(std::uint32_t seed, const StandInFaults& faults = {},
                        std::chrono::milliseconds timeout = std::chrono::seconds(60),
                        std::string device = {}) {
    const auto rank = static_cast<std::uint32_t>(world().rank());
    if (device.empty()) device = "0000:0" + std::to_string(rank) + ":00.0";
    NcclParts parts;
    auto own_streams = std::make_unique<StandInStreams>(100 * seed + rank, device);
    streams = own_streams.get();
    parts.streams = std::move(own_streams);
    auto own_library = std::make_unique<StandInNccl>(*streams, 100 * seed + rank + 50, faults);
    library = own_library.get();
    parts.library = std::move(own_library);
    parts.notices = world().make_failure_notices();
    communicator = std::make_unique<NcclCommunicator>(world(), std::move(parts), timeout);
    memory = std::make_unique<StandInTestMemory>(*streams);
  }

  StandInStreams* streams = nullptr;
  StandInNccl* library = nullptr;
  std::unique_ptr<NcclCommunicator> communicator;
  std::unique_ptr<StandInTestMemory> memory;
};

}  // namespace sbm::distributed
