#include "distributed/mpi_communicator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mpi.h>

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "distributed/lasting_memory.h"
#include "distributed/mpi_failure_notices.h"
#include "tests/distributed/communicator_suite.h"
#include "tests/distributed_mpi/world.h"

namespace sbm::distributed {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(MpiCommunicator, KnowsItsPlace) {
  int rank = 0;
  int size = 0;
  ASSERT_EQ(MPI_Comm_rank(MPI_COMM_WORLD, &rank), MPI_SUCCESS);
  ASSERT_EQ(MPI_Comm_size(MPI_COMM_WORLD, &size), MPI_SUCCESS);
  EXPECT_EQ(world().rank(), rank);
  EXPECT_EQ(world().world_size(), size);
  // mpirun started all of them on this machine.
  EXPECT_EQ(world().local_rank(), rank);
  EXPECT_FALSE(world().host().empty());
}

TEST(MpiCommunicator, DoesWhatEveryCommunicatorDoes) {
  HostTestMemory memory;
  expect_everything(world(), memory);
}

TEST(MpiCommunicator, CutsLargePartsIntoMessages) {
  for (const std::size_t limit : {8, 64}) {
    MpiCommunicator communicator(MPI_COMM_WORLD, limit);
    HostTestMemory memory;
    expect_everything(communicator, memory);
  }
}

TEST(MpiCommunicator, RefusesMessageSizesThatMpiCannotCount) {
  for (const std::size_t limit :
       {std::size_t{0}, std::size_t{4}, std::size_t{12}, MpiCommunicator::kMaxMessageBytes + 8}) {
    EXPECT_THROW(MpiCommunicator(MPI_COMM_WORLD, limit), InternalError);
  }
}

TEST(MpiCommunicator, MovesMegabytes) {
  constexpr std::size_t kPart = std::size_t{3} << 20;
  const auto ranks = static_cast<std::size_t>(world().world_size());
  std::vector<std::byte> send(kPart, static_cast<std::byte>(world().rank() + 1));
  std::vector<std::byte> receive(kPart * ranks);
  std::vector<std::size_t> offsets;
  for (std::size_t r = 0; r <= ranks; ++r) offsets.push_back(r * kPart);
  world().all_gather(send, receive, offsets)->wait();
  for (std::size_t r = 0; r < ranks; ++r) {
    const auto part = std::span(receive).subspan(r * kPart, kPart);
    EXPECT_TRUE(std::all_of(part.begin(), part.end(),
                            [&](std::byte b) { return b == static_cast<std::byte>(r + 1); }));
  }
}

/// Rank 0 comes too late on purpose: only when every other rank has given up once.
template <typename Start>
void expect_missed_deadline(const Start& start, const std::string& operation) {
  MpiCommunicator communicator(MPI_COMM_WORLD);
  if (communicator.rank() == 0) {
    for (int i = 1; i < communicator.world_size(); ++i) {
      char token = 0;
      ASSERT_EQ(MPI_Recv(&token, 1, MPI_CHAR, MPI_ANY_SOURCE, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE),
                MPI_SUCCESS);
    }
    start(communicator)->wait();
    return;
  }
  communicator.set_timeout(std::chrono::seconds(1));
  const auto work = start(communicator);
  try {
    work->wait();
    ADD_FAILURE() << operation << " ended without rank 0";
  } catch (const CommunicationError& error) {
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr(operation),
                      HasSubstr("rank " + std::to_string(communicator.rank()) + " of"),
                      HasSubstr("host " + communicator.host()), HasSubstr(" s without")));
  }
  const char token = 1;
  ASSERT_EQ(MPI_Send(&token, 1, MPI_CHAR, 0, 1, MPI_COMM_WORLD), MPI_SUCCESS);
  communicator.set_timeout(std::chrono::seconds(60));
  work->wait();
}

TEST(MpiCommunicator, AMissedDeadlineIsAnErrorAndMayBeForgiven) {
  expect_missed_deadline([](Communicator& c) { return c.barrier(); }, "barrier");
}

TEST(MpiCommunicator, AMissedDeadlineNamesThePeerThatIsMissing) {
  const auto ranks = static_cast<std::size_t>(world().world_size());
  std::vector<std::byte> receive(ranks);
  std::vector<std::size_t> offsets;
  for (std::size_t r = 0; r <= ranks; ++r) offsets.push_back(r);
  const std::vector<std::byte> send(1);
  expect_missed_deadline([&](Communicator& c) { return c.all_gather(send, receive, offsets); },
                         "from rank 0:");
}

TEST(MpiCommunicator, RefusesToGoOnAfterAnAbandonedOperation) {
  MpiCommunicator communicator(MPI_COMM_WORLD);
  { const auto dropped = communicator.barrier(); }
  try {
    communicator.barrier();
    FAIL() << "a group with an unfinished operation went on";
  } catch (const CommunicationError& error) {
    EXPECT_THAT(error.what(), HasSubstr("earlier barrier"));
  }
  EXPECT_TRUE(lasting_memory_is_kept.load());
}

TEST(MpiCommunicator, ErrorsNameTheStep) {
  MpiCommunicator communicator(MPI_COMM_WORLD);
  communicator.set_step(12);
  std::thread([&] {
    try {
      communicator.barrier();
      ADD_FAILURE() << "another thread called MPI";
    } catch (const InternalError& error) {
      EXPECT_THAT(error.what(), HasSubstr("step 12)"));
    }
  }).join();
}

TEST(MpiFailureNotices, ReachEveryOtherRank) {
  const auto notices = world().make_failure_notices();
  EXPECT_FALSE(notices->poll());
  world().barrier()->wait();
  const int culprit = world().world_size() - 1;
  if (world().rank() == culprit) {
    notices->tell("rank " + std::to_string(culprit) + " has no power");
    EXPECT_FALSE(notices->poll());
  } else {
    std::optional<std::string> heard;
    while (!heard) heard = notices->poll();
    EXPECT_EQ(*heard, "rank " + std::to_string(culprit) + " has no power");
    EXPECT_FALSE(notices->poll());
  }
}

TEST(MpiFailureNotices, CutsWhatIsTooLong) {
  const auto notices = world().make_failure_notices();
  if (world().rank() == 0) notices->tell(std::string(MpiFailureNotices::kMaxBytes + 5, 'x'));
  std::optional<std::string> heard;
  while (!heard && world().rank() != 0) heard = notices->poll();
  EXPECT_TRUE(world().rank() == 0 || heard->size() == MpiFailureNotices::kMaxBytes);
}

TEST(MpiCommunicator, OneThreadCallsMpi) {
  MpiCommunicator communicator(MPI_COMM_WORLD);
  std::thread([&] { EXPECT_THROW(communicator.barrier(), InternalError); }).join();
  communicator.barrier()->wait();
}

TEST(MpiCommunicator, SizesThatDoNotAgreeAreNamed) {
  // Rank 1 sends one byte to everyone; the others expect two from it.
  MpiCommunicator communicator(MPI_COMM_WORLD);
  const auto ranks = static_cast<std::size_t>(communicator.world_size());
  const std::vector<std::byte> send(communicator.rank() == 1 ? 1 : 0);
  std::vector<std::byte> receive(2);
  std::vector<std::size_t> offsets(ranks + 1);
  const std::size_t expected = communicator.rank() == 1 ? 1 : 2;
  for (std::size_t r = 2; r <= ranks; ++r) offsets[r] = expected;
  const auto work = communicator.all_gather(send, receive, offsets);
  if (communicator.rank() == 1) {
    work->wait();
    return;
  }
  try {
    work->wait();
    ADD_FAILURE() << "one byte was taken for two";
  } catch (const InternalError& error) {
    EXPECT_THAT(error.what(), HasSubstr("expected 2 bytes from rank 1, found 1"));
  }
}

}  // namespace
}  // namespace sbm::distributed
