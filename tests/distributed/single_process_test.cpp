#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "distributed/mpi_environment.h"
#include "tests/distributed/communicator_suite.h"

namespace sbm::distributed {
namespace {

using testing::HasSubstr;

TEST(SingleProcess, IsAGroupOfOne) {
  const auto communicator = make_single_process_communicator();
  EXPECT_EQ(communicator->rank(), 0);
  EXPECT_EQ(communicator->world_size(), 1);
  EXPECT_EQ(communicator->local_rank(), 0);
  EXPECT_FALSE(communicator->host().empty());
}

TEST(SingleProcess, DoesWhatEveryCommunicatorDoes) {
  const auto communicator = make_single_process_communicator();
  communicator->set_timeout(std::chrono::seconds(5));
  HostTestMemory memory;
  expect_everything(*communicator, memory);
}

TEST(SingleProcess, AbortIsAnError) {
  const auto communicator = make_single_process_communicator();
  try {
    communicator->abort(6);
    FAIL() << "abort returned";
  } catch (const CommunicationError& error) {
    EXPECT_THAT(error.what(), HasSubstr("exit code 6"));
  }
}

TEST(MpiEnvironment, WithoutALauncherThereIsNoMpi) {
  ASSERT_FALSE(MpiEnvironment::launched_by_mpi());
  const MpiEnvironment environment;
  EXPECT_EQ(environment.world()->world_size(), 1);
}

}  // namespace
}  // namespace sbm::distributed
