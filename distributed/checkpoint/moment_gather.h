#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "distributed/checkpoint/checkpoint.h"
#include "distributed/checkpoint/file_plan.h"
#include "distributed/communicator.h"

namespace sbm::distributed::checkpoint {

/// Elements of a file that travel at a time: bounds the memory of a save.
inline constexpr std::int64_t kWindowElements = std::int64_t{1} << 20;

/// Elements of the window-th window of a file; empty past its end.
ElementRange window_of(const PlannedFile& file, std::int64_t window);

/// Collective. files[r] is the file that rank r is writing (null: none); brings this rank the
/// window-th window of its own. Weights are at hand; moments come from the shards of their owners.
std::vector<float> gather_window(Communicator& communicator, const Snapshot& snapshot,
                                 std::span<const PlannedFile* const> files, std::int64_t window);

}  // namespace sbm::distributed::checkpoint
