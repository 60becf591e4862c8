#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/distributed_mpi/stand_in_group.h"

// The stand-in must refuse what a device or NCCL would punish, or a green suite would say nothing.
namespace sbm::distributed {
namespace {

using testing::HasSubstr;

template <typename Action>
void expect_misuse(const Action& action, const std::string& words) {
  try {
    action();
    ADD_FAILURE() << "no misuse was found on rank " << world().rank() << ": " << words;
  } catch (const Misuse& misuse) {
    EXPECT_THAT(misuse.what(), HasSubstr(words));
  }
}

class StandIn : public testing::Test {
 protected:
  void TearDown() override { world().barrier()->wait(); }
};

/// A library that is ready, without the communicator under test.
struct Bare {
  explicit Bare(std::uint32_t seed)
      : streams(seed + static_cast<std::uint32_t>(world().rank()), "gpu"),
        library(streams, seed, {}),
        memory(streams) {
    library.start(handle, world().world_size(), NcclId{}, world().rank());
    settle();
  }
  ~Bare() {
    if (!aborted) library.abort(handle);
  }
  void settle() {
    NcclResult state = NcclResult::kInProgress;
    while (state == NcclResult::kInProgress) library.async_error(handle, state);
  }
  void finish() {
    const EventHandle event = streams.create_event();
    streams.record(event, streams.current());
    while (!streams.done(event)) {
    }
  }

  StandInStreams streams;
  StandInNccl library;
  StandInTestMemory memory;
  NcclHandle handle = nullptr;
  bool aborted = false;
};

TEST_F(StandIn, FindsOperationsInDifferentOrder) {
  Bare bare(1);
  const TestBuffer<std::int64_t> values(bare.memory, 2);
  bare.library.group_start();
  if (world().rank() == 0) {
    bare.library.all_reduce_sum(values.span().data(), 2, bare.handle, bare.streams.current());
  } else {
    bare.library.all_gather(
        std::as_bytes(values.span()).data(), std::as_writable_bytes(values.span()).data(),
        16 / static_cast<std::size_t>(world().world_size()), bare.handle, bare.streams.current());
  }
  bare.library.group_end();
  bare.settle();
  // Every rank hears of rank 0 what it does not expect; rank 0 of all.
  expect_misuse([&] { bare.finish(); }, "expects message");
}

TEST_F(StandIn, FindsCountsThatDoNotAgree) {
  Bare bare(2);
  const TestBuffer<std::int64_t> values(bare.memory, 8);
  const auto count = static_cast<std::size_t>(world().rank() == 0 ? 3 : 4);
  bare.library.group_start();
  bare.library.all_reduce_sum(values.span().data(), count, bare.handle, bare.streams.current());
  bare.library.group_end();
  bare.settle();
  expect_misuse([&] { bare.finish(); }, " bytes, rank ");
}

TEST_F(StandIn, FindsAMissingEvent) {
  Bare bare(3);
  const TestBuffer<std::byte> a(bare.memory, 8);
  const TestBuffer<std::byte> b(bare.memory, 8);
  const StreamHandle side = bare.streams.create_stream();
  // The younger copy goes first; nothing tells it to wait.
  bare.streams.enqueue(bare.streams.current(),
                       {.name = "slow kernel",
                        .accesses = {{a.span().data(), 8, true}},
                        .run = [looks = 0]() mutable { return ++looks > 50; }});
  bare.streams.copy(a.span(), b.span().data(), side);
  expect_misuse([&] { bare.finish(); }, "before slow kernel");
}

TEST_F(StandIn, FindsHostMemory) {
  Bare bare(4);
  std::vector<std::byte> host(8);
  expect_misuse([&] { bare.streams.copy(host, host.data(), bare.streams.current()); },
                "not the device's memory");
}

TEST_F(StandIn, FindsCallsAtTheWrongTime) {
  Bare bare(5);
  const TestBuffer<std::int64_t> values(bare.memory, 1);
  const auto call = [&] {
    bare.library.all_reduce_sum(values.span().data(), 1, bare.handle, bare.streams.current());
  };
  expect_misuse(call, "outside of a group");
  expect_misuse([&] { bare.library.group_end(); }, "without ncclGroupStart");
  expect_misuse([&] { bare.library.destroy(bare.handle); }, "before ncclCommFinalize");
  bare.library.group_start();
  expect_misuse([&] { bare.library.abort(bare.handle); }, "within a group");
  bare.library.group_end();
  bare.library.abort(bare.handle);
  bare.aborted = true;
  NcclResult state = NcclResult::kSuccess;
  expect_misuse([&] { bare.library.async_error(bare.handle, state); }, "aborted");
}

TEST_F(StandIn, FindsAnEventBeforeItsOperation) {
  Bare bare(6);
  const TestBuffer<std::int64_t> values(bare.memory, 1);
  // Whether an operation is taken over at once is drawn.
  for (int i = 0; i < 50; ++i) {
    bare.library.group_start();
    bare.library.all_reduce_sum(values.span().data(), 1, bare.handle, bare.streams.current());
    if (bare.library.group_end() == NcclResult::kInProgress) break;
    bare.finish();
  }
  expect_misuse([&] { bare.streams.record(bare.streams.create_event(), bare.streams.current()); },
                "before NCCL has taken over");
  bare.settle();
  bare.finish();
}

}  // namespace
}  // namespace sbm::distributed
