#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "distributed/checkpoint/checkpoint.h"
#include "distributed/checkpoint/file_plan.h"
#include "distributed/communicator.h"
#include "distributed/lasting_memory.h"

namespace sbm::distributed::checkpoint {

/// Elements of a file that travel at a time: bounds the memory of a save.
inline constexpr std::int64_t kWindowElements = std::int64_t{1} << 20;

/// Elements of the window-th window of a file; empty past its end.
ElementRange window_of(const PlannedFile& file, std::int64_t window);

/// Brings together what one rank writes. Keeps its buffers from window to window: to give them back
/// and fetch them anew each time costs more than to fill them.
class WindowGatherer {
 public:
  WindowGatherer(Communicator& communicator, const Snapshot& snapshot)
      : communicator_(communicator), snapshot_(snapshot) {}

  /// Collective. files[r] is the file that rank r is writing (null: none); returns the window-th
  /// window of this rank's own, valid until the next call. Weights are at hand; moments come from
  /// the shards of their owners.
  std::span<const float> gather(std::span<const PlannedFile* const> files, std::int64_t window);

 private:
  void exchange(std::span<const PlannedFile* const> files, const std::vector<Segment>& mine,
                std::int64_t window);

  Communicator& communicator_;
  const Snapshot& snapshot_;
  LastingVector<float> send_;
  LastingVector<float> received_;
  std::vector<std::size_t> receive_offsets_;  // in bytes, by rank
  std::vector<float> data_;
};

}  // namespace sbm::distributed::checkpoint
