#include "tests/distributed/communicator_suite.h"

#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"

namespace sbm::distributed {
namespace {

/// How many bytes rank `from` sends to rank `to`: none on some ways, never the same both ways.
std::size_t part_size(int from, int to) {
  return (from + 2 * to) % 3 == 0 ? 0 : static_cast<std::size_t>(13 * from + 7 * to + 1);
}

std::byte part_byte(int from, int to, std::size_t at) {
  return static_cast<std::byte>((31 * from + 17 * to + 3 * static_cast<int>(at)) % 251);
}

std::vector<std::size_t> offsets_of(const std::vector<std::size_t>& sizes) {
  std::vector<std::size_t> offsets(sizes.size() + 1);
  std::partial_sum(sizes.begin(), sizes.end(), offsets.begin() + 1);
  return offsets;
}

using Buffer = TestBuffer<std::byte>;

}  // namespace

void expect_everything(Communicator& communicator, TestMemory& memory) {
  expect_all_to_all(communicator, memory);
  expect_all_gather(communicator, memory);
  expect_reductions(communicator, memory);
  expect_broadcasts(communicator, memory);
  if (communicator.memory() == MemoryKind::kHost) expect_strings(communicator);
  expect_overlap(communicator, memory);
  expect_stream_order(communicator, memory);
  expect_refusals(communicator, memory);
}

void expect_all_to_all(Communicator& communicator, TestMemory& memory) {
  const int me = communicator.rank();
  std::vector<std::size_t> send_sizes;
  std::vector<std::size_t> receive_sizes;
  std::vector<std::byte> sent;
  std::vector<std::byte> expected;
  for (int peer = 0; peer < communicator.world_size(); ++peer) {
    send_sizes.push_back(part_size(me, peer));
    receive_sizes.push_back(part_size(peer, me));
    for (std::size_t i = 0; i < send_sizes.back(); ++i) sent.push_back(part_byte(me, peer, i));
    for (std::size_t i = 0; i < receive_sizes.back(); ++i) {
      expected.push_back(part_byte(peer, me, i));
    }
  }
  const Buffer send(memory, sent);
  const Buffer receive(memory, expected.size());
  const auto send_offsets = offsets_of(send_sizes);
  const auto receive_offsets = offsets_of(receive_sizes);
  communicator.all_to_all(send.span(), send_offsets, receive.span(), receive_offsets)->wait();
  EXPECT_EQ(receive.get(), expected);

  const std::vector<std::size_t> nothing(send_offsets.size());
  communicator.all_to_all({}, nothing, {}, nothing)->wait();
}

void expect_all_gather(Communicator& communicator, TestMemory& memory) {
  const auto me = static_cast<std::size_t>(communicator.rank());
  for (const bool equal : {false, true}) {
    std::vector<std::size_t> sizes;
    std::vector<std::byte> expected;
    for (int peer = 0; peer < communicator.world_size(); ++peer) {
      sizes.push_back(equal ? 19 : peer == 1 ? 0 : static_cast<std::size_t>(5 * peer + 3));
      for (std::size_t i = 0; i < sizes.back(); ++i) expected.push_back(part_byte(peer, 0, i));
    }
    const auto offsets = offsets_of(sizes);
    const auto begin = expected.begin() + static_cast<std::ptrdiff_t>(offsets[me]);
    const std::vector<std::byte> own(begin, begin + static_cast<std::ptrdiff_t>(sizes[me]));

    const Buffer send(memory, own);
    const Buffer apart(memory, expected.size());
    communicator.all_gather(send.span(), apart.span(), offsets)->wait();
    EXPECT_EQ(apart.get(), expected);

    std::vector<std::byte> only_own(expected.size());
    std::copy(own.begin(), own.end(), only_own.begin() + static_cast<std::ptrdiff_t>(offsets[me]));
    const Buffer in_place(memory, only_own);
    communicator
        .all_gather(in_place.span().subspan(offsets[me], sizes[me]), in_place.span(), offsets)
        ->wait();
    EXPECT_EQ(in_place.get(), expected);
  }
}

void expect_reductions(Communicator& communicator, TestMemory& memory) {
  using Integers = TestBuffer<std::int64_t>;
  const std::int64_t me = communicator.rank();
  const std::int64_t ranks = communicator.world_size();
  // More values than one message of the smallest size carries.
  std::vector<std::int64_t> values;
  std::vector<std::int64_t> expected;
  for (std::int64_t i = 0; i < 37; ++i) {
    values.push_back((me + 1) * i - 5);
    expected.push_back(ranks * (ranks + 1) / 2 * i - 5 * ranks);
  }
  const Integers sum(memory, values);
  communicator.all_reduce_sum(sum.span())->wait();
  EXPECT_EQ(sum.get(), expected);
  const std::vector<std::int64_t> one_large = {me == 0 ? std::int64_t{1} << 60 : 0};
  const Integers large(memory, one_large);
  communicator.all_reduce_sum(large.span())->wait();
  EXPECT_EQ(large.get(), (std::vector<std::int64_t>{std::int64_t{1} << 60}));
  communicator.all_reduce_sum({})->wait();

  constexpr std::int64_t kOwn = 3;
  values.clear();
  for (std::int64_t i = 0; i < kOwn * ranks; ++i) values.push_back((me + 1) * (i + 1));
  const Integers all(memory, values);
  const Integers own(memory, std::size_t{kOwn});
  communicator.reduce_scatter_sum(all.span(), own.span())->wait();
  expected.clear();
  for (std::int64_t i = 0; i < kOwn; ++i) {
    expected.push_back(ranks * (ranks + 1) / 2 * (me * kOwn + i + 1));
  }
  EXPECT_EQ(own.get(), expected);
  communicator.reduce_scatter_sum({}, {})->wait();
}

void expect_broadcasts(Communicator& communicator, TestMemory& memory) {
  for (int root = 0; root < communicator.world_size(); ++root) {
    std::vector<std::byte> expected;
    for (std::size_t i = 0; i < 101; ++i) expected.push_back(part_byte(root, 5, i));
    const Buffer bytes(memory,
                       communicator.rank() == root ? expected : std::vector<std::byte>(101));
    communicator.broadcast(bytes.span(), root)->wait();
    EXPECT_EQ(bytes.get(), expected);
    communicator.broadcast({}, root)->wait();
    communicator.barrier()->wait();
  }
}

void expect_strings(Communicator& communicator) {
  const int ranks = communicator.world_size();
  const auto text = [](int rank) {
    return rank == 1 ? std::string()
                     : std::string(static_cast<std::size_t>(40 * rank + 1), 'a') + '\0' +
                           std::to_string(rank);
  };
  std::vector<std::string> expected;
  for (int r = 0; r < ranks; ++r) expected.push_back(text(r));
  EXPECT_EQ(all_gather_strings(communicator, text(communicator.rank())), expected);
  EXPECT_EQ(all_gather_strings(communicator, ""),
            std::vector<std::string>(static_cast<std::size_t>(ranks)));
  for (int root = 0; root < ranks; ++root) {
    const std::string mine = communicator.rank() == root ? text(root) : "not from the root";
    EXPECT_EQ(broadcast_string(communicator, mine, root), text(root));
  }
}

void expect_overlap(Communicator& communicator, TestMemory& memory) {
  const auto ranks = static_cast<std::size_t>(communicator.world_size());
  constexpr std::size_t kCount = 8;
  std::vector<Buffer> sent;
  std::vector<Buffer> received;
  std::vector<std::vector<std::size_t>> offsets(kCount);
  std::vector<std::unique_ptr<Work>> under_way;
  for (std::size_t k = 0; k < kCount; ++k) {
    const std::vector<std::byte> own((k + 1) * 100,
                                     part_byte(communicator.rank(), static_cast<int>(k), 0));
    sent.emplace_back(memory, own);
    received.emplace_back(memory, own.size() * ranks);
    offsets[k] = offsets_of(std::vector<std::size_t>(ranks, own.size()));
    under_way.push_back(communicator.all_gather(sent[k].span(), received[k].span(), offsets[k]));
  }
  while (!under_way.empty()) {
    under_way.back()->wait();
    under_way.pop_back();
  }
  for (std::size_t k = 0; k < kCount; ++k) {
    const std::vector<std::byte> found = received[k].get();
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_EQ(found[i], part_byte(static_cast<int>(i / ((k + 1) * 100)), static_cast<int>(k), 0));
    }
  }
}

void expect_stream_order(Communicator& communicator, TestMemory& memory) {
  const auto ranks = static_cast<std::size_t>(communicator.world_size());
  const auto me = static_cast<std::size_t>(communicator.rank());
  constexpr std::size_t kPart = 24;
  constexpr std::size_t kRounds = 6;
  const std::vector<std::size_t> offsets = offsets_of(std::vector<std::size_t>(ranks, kPart));
  std::vector<std::byte> start(kPart * ranks);
  for (std::size_t i = 0; i < kPart; ++i) {
    start[me * kPart + i] = part_byte(communicator.rank(), 3, i);
  }
  std::vector<Buffer> buffers;
  for (std::size_t k = 0; k <= kRounds; ++k) buffers.emplace_back(memory, start.size());
  buffers[0].put(start);
  communicator
      .all_gather(buffers[0].span().subspan(offsets[me], kPart), buffers[0].span(), offsets)
      ->wait_in_stream();
  // Two exchanges of every part bring each back where it came from.
  for (std::size_t k = 0; k < kRounds; ++k) {
    communicator.all_to_all(buffers[k].span(), offsets, buffers[k + 1].span(), offsets)
        ->wait_in_stream();
  }
  communicator.synchronize();
  const std::vector<std::byte> found = buffers[kRounds].get();
  for (std::size_t r = 0; r < ranks; ++r) {
    for (std::size_t i = 0; i < kPart; ++i) {
      ASSERT_EQ(found[r * kPart + i], part_byte(static_cast<int>(r), 3, i));
    }
  }
}

void expect_refusals(Communicator& communicator, TestMemory& memory) {
  const auto ranks = static_cast<std::size_t>(communicator.world_size());
  const Buffer bytes(memory, 8);
  const auto buffer = bytes.span();
  const std::vector<std::size_t> good(ranks + 1);
  const std::vector<std::size_t> short_list(ranks);
  std::vector<std::size_t> outside(ranks + 1);
  outside.back() = 9;
  std::vector<std::size_t> descending(ranks + 1);
  descending.front() = 4;
  for (const auto& bad : {short_list, outside, descending}) {
    EXPECT_THROW(communicator.all_to_all(buffer, bad, buffer, good), InternalError);
    EXPECT_THROW(communicator.all_to_all(buffer, good, buffer, bad), InternalError);
    EXPECT_THROW(communicator.all_gather({}, buffer, bad), InternalError);
  }
  EXPECT_THROW(communicator.broadcast(buffer, -1), InternalError);
  EXPECT_THROW(communicator.broadcast(buffer, communicator.world_size()), InternalError);
  const TestBuffer<std::int64_t> one(memory, std::vector<std::int64_t>{1});
  const TestBuffer<std::int64_t> many(memory, ranks + 1);
  EXPECT_THROW(communicator.reduce_scatter_sum(many.span(), one.span()), InternalError);
  // After the refusals the group still works.
  communicator.all_reduce_sum(one.span())->wait();
  EXPECT_EQ(one.get()[0], communicator.world_size());
}

}  // namespace sbm::distributed
