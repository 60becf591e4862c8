#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "distributed/communicator.h"

namespace sbm::distributed {

/// Sum over all micro-batches of small per-micro-batch vectors of doubles (losses, metrics), in the
/// order of the tree over `count` leaves. `mine` holds the `width` values of each leaf of this
/// rank's contiguous run, in order; runs are those of micro_batch_run, except that here a rank may
/// have none (count < world_size). The result, width values, is equal on every rank and world size;
/// zeros when there are no leaves. Throws InternalError when `mine` has another size.
std::vector<double> tree_all_reduce(Communicator& communicator, std::int64_t count,
                                    std::int64_t width, std::span<const double> mine);

}  // namespace sbm::distributed
