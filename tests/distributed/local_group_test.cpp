#include "tests/distributed/local_group.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "base/error.h"
#include "tests/distributed/communicator_suite.h"

namespace sbm::distributed {
namespace {

TEST(LocalGroup, DoesWhatEveryCommunicatorDoes) {
  for (int ranks = 1; ranks <= 5; ++ranks) {
    run_local_group(ranks, [](Communicator& communicator) {
      HostTestMemory memory;
      expect_everything(communicator, memory);
    });
  }
}

TEST(LocalGroup, OneRanksErrorEndsTheOthers) {
  EXPECT_THROW(run_local_group(3,
                               [](Communicator& communicator) {
                                 if (communicator.rank() == 1) throw std::domain_error("mine");
                                 communicator.barrier()->wait();
                               }),
               std::domain_error);
}

TEST(LocalGroup, DifferentOperationsAreADefect) {
  EXPECT_THROW(run_local_group(2,
                               [](Communicator& communicator) {
                                 std::int64_t value = 1;
                                 if (communicator.rank() == 0) {
                                   communicator.barrier()->wait();
                                 } else {
                                   communicator.all_reduce_sum(std::span(&value, 1))->wait();
                                 }
                               }),
               InternalError);
}

}  // namespace
}  // namespace sbm::distributed
