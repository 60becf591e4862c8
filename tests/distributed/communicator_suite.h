#pragma once

#include "distributed/communicator.h"

// What every Communicator must do, whoever carries it: called by the tests of each kind, on every
// rank of a group.
namespace sbm::distributed {

/// Parts of unequal length, some empty, to and from every rank.
void expect_all_to_all(Communicator& communicator);
/// Parts of unequal length, also with the sender's part in place.
void expect_all_gather(Communicator& communicator);
void expect_reductions(Communicator& communicator);
void expect_broadcasts(Communicator& communicator);
/// Strings of unequal length, empty ones, and none at all.
void expect_strings(Communicator& communicator);
/// Several operations under way at once, waited for in another order.
void expect_overlap(Communicator& communicator);
/// Wrong offsets, sizes and roots are refused before a byte moves.
void expect_refusals(Communicator& communicator);

}  // namespace sbm::distributed
