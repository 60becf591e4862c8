#pragma once

#include "distributed/communicator.h"
#include "tests/distributed/test_memory.h"

// What every Communicator must do, whoever carries it: called by the tests of each kind, on every
// rank of a group, with memory of the kind that the communicator moves.
namespace sbm::distributed {

/// All of the below; strings only where the memory is the host's.
void expect_everything(Communicator& communicator, TestMemory& memory);

/// Parts of unequal length, some empty, to and from every rank.
void expect_all_to_all(Communicator& communicator, TestMemory& memory);
/// Parts of unequal and of equal length, also with the sender's part in place.
void expect_all_gather(Communicator& communicator, TestMemory& memory);
void expect_reductions(Communicator& communicator, TestMemory& memory);
void expect_broadcasts(Communicator& communicator, TestMemory& memory);
/// Strings of unequal length, empty ones, and none at all.
void expect_strings(Communicator& communicator);
/// Several operations under way at once, waited for in another order.
void expect_overlap(Communicator& communicator, TestMemory& memory);
/// Operations that only the stream waits for, each on what the one before it received.
void expect_stream_order(Communicator& communicator, TestMemory& memory);
/// Wrong offsets, sizes and roots are refused before a byte moves.
void expect_refusals(Communicator& communicator, TestMemory& memory);

}  // namespace sbm::distributed
