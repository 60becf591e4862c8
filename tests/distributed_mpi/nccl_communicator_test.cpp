#include "distributed/nccl_communicator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "distributed/lasting_memory.h"
#include "tests/distributed/communicator_suite.h"
#include "tests/distributed_mpi/stand_in_group.h"

namespace sbm::distributed {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;

int last_rank() { return world().world_size() - 1; }
bool is_culprit() { return world().rank() == last_rank(); }

/// The message of the Thrown that `action` must throw.
template <typename Thrown, typename Action>
std::string message_of(const Action& action) {
  try {
    action();
  } catch (const Thrown& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown on rank " << world().rank();
  return {};
}

/// Each rank's message is that of the culprit.
void expect_one_message(const std::string& mine) {
  const auto all = all_gather_strings(world(), mine);
  for (const std::string& other : all) {
    EXPECT_EQ(other, all[static_cast<std::size_t>(last_rank())]);
  }
}

// Objects of a test that failed on purpose end before the next begins.
class NcclFailure : public testing::Test {
 protected:
  void TearDown() override { world().barrier()->wait(); }
};

TEST(NcclCommunicator, DoesWhatEveryCommunicatorDoes) {
  for (std::uint32_t seed = 1; seed <= 4; ++seed) {
    StandInGroup group(seed);
    expect_everything(*group.communicator, *group.memory);
  }
}

TEST(NcclCommunicator, KnowsItsPlace) {
  StandInGroup group(1);
  EXPECT_EQ(group.communicator->rank(), world().rank());
  EXPECT_EQ(group.communicator->world_size(), world().world_size());
  EXPECT_EQ(group.communicator->local_rank(), world().local_rank());
  EXPECT_EQ(group.communicator->host(), world().host());
  EXPECT_EQ(group.communicator->memory(), MemoryKind::kDevice);
  EXPECT_THROW(broadcast_string(*group.communicator, "host memory", 0), InternalError);
  EXPECT_THROW(all_gather_strings(*group.communicator, "host memory"), InternalError);
}

TEST(NcclCommunicator, WorkOfTheCurrentStreamComesBeforeAndAfter) {
  StandInGroup group(5);
  const auto ranks = static_cast<std::size_t>(world().world_size());
  const TestBuffer<std::int64_t> sum(*group.memory, std::vector<std::int64_t>(4, 1));
  const std::span<std::int64_t> values = sum.span();
  const auto bytes = std::as_writable_bytes(values);
  const auto add = [&](std::int64_t term) {
    group.streams->enqueue(
        group.streams->current(),
        {.name = "kernel", .accesses = {{bytes.data(), bytes.size(), true}}, .run = [values, term] {
           for (std::int64_t& value : values) value += term;
           return true;
         }});
  };
  group.streams->set_longest_delay(20);
  for (int round = 0; round < 3; ++round) {
    add(2);
    group.communicator->all_reduce_sum(values)->wait_in_stream();
    add(-1);
  }
  group.communicator->synchronize();
  std::int64_t expected = 1;
  for (int round = 0; round < 3; ++round) {
    expected = (expected + 2) * static_cast<std::int64_t>(ranks) - 1;
  }
  EXPECT_EQ(sum.get(), std::vector<std::int64_t>(4, expected));
}

TEST(NcclCommunicator, AGroupOfOneCallsNoNccl) {
  const auto alone = make_single_process_communicator();
  NcclParts parts;
  auto streams = std::make_unique<StandInStreams>(7, "gpu");
  StandInTestMemory memory(*streams);
  // No start of it would ever end.
  parts.library =
      std::make_unique<StandInNccl>(*streams, 8, StandInFaults{.start_never_ends = true});
  parts.streams = std::move(streams);
  parts.notices = alone->make_failure_notices();
  NcclCommunicator communicator(*alone, std::move(parts), std::chrono::seconds(5));
  expect_everything(communicator, memory);
}

TEST(NcclCommunicator, OneThreadCallsNccl) {
  StandInGroup group(9);
  std::thread([&] { EXPECT_THROW(group.communicator->barrier(), InternalError); }).join();
  group.communicator->barrier()->wait();
}

TEST_F(NcclFailure, AnAsynchronousErrorOfOneRankIsEveryRanksError) {
  for (const bool in_stream : {false, true}) {
    StandInGroup group(11, is_culprit() ? StandInFaults{.async_error_at = 2} : StandInFaults{});
    world().barrier()->wait();  // a rank that still starts would hear of it there
    group.communicator->set_step(7);
    const TestBuffer<std::int64_t> one(*group.memory, std::vector<std::int64_t>{1});
    const std::string message = message_of<CommunicationError>([&] {
      for (int i = 0; i < 5; ++i) {
        const auto work = group.communicator->all_reduce_sum(one.span());
        in_stream ? work->wait_in_stream() : work->wait();
      }
      group.communicator->synchronize();
    });
    EXPECT_THAT(message, AllOf(HasSubstr("all_reduce_sum on rank " + std::to_string(last_rank())),
                               HasSubstr("host " + world().host()), HasSubstr("step 7"),
                               HasSubstr("system error"), HasSubstr("so says the stand-in")));
    expect_one_message(message);
    EXPECT_TRUE(lasting_memory_is_kept.load());
    // The group is of no more use, and says why.
    EXPECT_THAT(message_of<CommunicationError>([&] { group.communicator->barrier(); }),
                HasSubstr(message));
  }
}

TEST_F(NcclFailure, ACallThatNcclRefusesIsEveryRanksError) {
  StandInGroup group(12, is_culprit() ? StandInFaults{.call_error_at = 0} : StandInFaults{});
  world().barrier()->wait();
  // Needs every rank's part: a broadcast could be done on its root before the culprit refuses.
  const TestBuffer<std::int64_t> one(*group.memory, std::vector<std::int64_t>{1});
  const std::string message = message_of<CommunicationError>(
      [&] { group.communicator->all_reduce_sum(one.span())->wait(); });
  EXPECT_THAT(message, AllOf(HasSubstr("ncclAllReduce failed: invalid argument"),
                             ContainsRegex("nccl_communicator.cpp:[0-9]+")));
  expect_one_message(message);
}

TEST_F(NcclFailure, APeerThatNeverArrivesIsReportedByTheDeadline) {
  for (const bool in_stream : {false, true}) {
    // The culprit hears of it in its next call.
    StandInGroup group(13);
    world().barrier()->wait();
    group.communicator->set_timeout(std::chrono::seconds(1));
    const auto heard = [&] {
      if (!is_culprit()) {
        const auto work = group.communicator->barrier();
        in_stream ? work->wait_in_stream() : work->wait();
      }
      for (;;) {
        if (is_culprit()) group.communicator->synchronize();
        if (!is_culprit() && in_stream) group.communicator->synchronize();
      }
    };
    const std::string message = message_of<CommunicationError>(heard);
    EXPECT_THAT(message, AllOf(ContainsRegex("barrier on rank [0-9] of [0-9]"),
                               HasSubstr("host " + world().host()),
                               ContainsRegex("waited [0-9.]+ s without an answer")));
    world().barrier()->wait();
  }
}

TEST_F(NcclFailure, AStartThatNeverEndsIsReportedByTheDeadline) {
  std::optional<StandInGroup> group;
  const auto start = [&] {
    group.emplace(14, is_culprit() ? StandInFaults{.start_never_ends = true} : StandInFaults{},
                  std::chrono::milliseconds(is_culprit() ? 200 : 60'000));
    group->communicator->barrier()->wait();
  };
  const std::string message = message_of<CommunicationError>(start);
  EXPECT_THAT(message, HasSubstr("the start of NCCL on rank " + std::to_string(last_rank())));
  expect_one_message(message);
}

TEST_F(NcclFailure, VersionsAreComparedOnAllRanks) {
  const std::string older = message_of<CommunicationError>([] {
    StandInGroup group(15,
                       is_culprit() ? StandInFaults{.library_version = 22703} : StandInFaults{});
  });
  EXPECT_THAT(older, AllOf(HasSubstr("rank " + std::to_string(last_rank())), HasSubstr("2.27.3"),
                           HasSubstr("headers of 2.28.9")));
  const std::string other = message_of<CommunicationError>([] {
    StandInGroup group(16,
                       is_culprit() ? StandInFaults{.library_version = 22907} : StandInFaults{});
  });
  EXPECT_THAT(other, AllOf(HasSubstr("2.29.7, rank 0 has 2.28.9")));
  const StandInGroup newer(17, {.library_version = 23007});
  newer.communicator->barrier()->wait();
}

TEST_F(NcclFailure, WithoutAnIdNoRankWaits) {
  EXPECT_THAT(message_of<CommunicationError>([] { StandInGroup group(18, {.no_id = true}); }),
              HasSubstr("so says the stand-in"));
}

TEST_F(NcclFailure, RanksThatShareAGpuAreRefused) {
  const auto start = [](std::uint32_t seed) {
    StandInGroup group(seed, {}, std::chrono::seconds(60), "0000:07:00.0");
    group.communicator->barrier()->wait();
  };
  EXPECT_THAT(message_of<ConfigError>([&] { start(19); }),
              AllOf(HasSubstr("ranks 0 and 1 share the GPU 0000:07:00.0"), HasSubstr("ppr:N")));
  // As the tests on one GPU do.
  ASSERT_EQ(setenv("NCCL_HOSTID", std::to_string(world().rank()).c_str(), 1), 0);
  EXPECT_NO_THROW(start(20));
  ASSERT_EQ(unsetenv("NCCL_HOSTID"), 0);
}

TEST_F(NcclFailure, AnAbandonedOperationEndsTheGroup) {
  StandInGroup group(21);
  world().barrier()->wait();
  const std::string message = message_of<CommunicationError>([&] {
    if (is_culprit()) {
      { const auto dropped = group.communicator->barrier(); }
      group.communicator->barrier();
    }
    for (;;) group.communicator->barrier()->wait();
  });
  EXPECT_THAT(message, HasSubstr("given up unfinished"));
}

TEST_F(NcclFailure, AnErrorThatUnwindsAbortsWithoutWaiting) {
  EXPECT_THROW(
      {
        StandInGroup group(22);
        group.communicator->barrier()->wait();
        throw DataError("a shard is damaged");
      },
      DataError);
}

}  // namespace
}  // namespace sbm::distributed
