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

}  // namespace

void expect_all_to_all(Communicator& communicator) {
  const int me = communicator.rank();
  std::vector<std::size_t> send_sizes;
  std::vector<std::size_t> receive_sizes;
  std::vector<std::byte> send;
  std::vector<std::byte> expected;
  for (int peer = 0; peer < communicator.world_size(); ++peer) {
    send_sizes.push_back(part_size(me, peer));
    receive_sizes.push_back(part_size(peer, me));
    for (std::size_t i = 0; i < send_sizes.back(); ++i) send.push_back(part_byte(me, peer, i));
    for (std::size_t i = 0; i < receive_sizes.back(); ++i) {
      expected.push_back(part_byte(peer, me, i));
    }
  }
  std::vector<std::byte> receive(expected.size());
  const auto send_offsets = offsets_of(send_sizes);
  const auto receive_offsets = offsets_of(receive_sizes);
  communicator.all_to_all(send, send_offsets, receive, receive_offsets)->wait();
  EXPECT_EQ(receive, expected);

  const std::vector<std::size_t> nothing(send_offsets.size());
  communicator.all_to_all({}, nothing, {}, nothing)->wait();
}

void expect_all_gather(Communicator& communicator) {
  const int me = communicator.rank();
  std::vector<std::size_t> sizes;
  std::vector<std::byte> expected;
  for (int peer = 0; peer < communicator.world_size(); ++peer) {
    sizes.push_back(peer == 1 ? 0 : static_cast<std::size_t>(5 * peer + 3));
    for (std::size_t i = 0; i < sizes.back(); ++i) expected.push_back(part_byte(peer, 0, i));
  }
  const auto offsets = offsets_of(sizes);
  const auto own_begin = offsets[static_cast<std::size_t>(me)];
  const auto own_size = sizes[static_cast<std::size_t>(me)];
  const auto own = std::span(expected).subspan(own_begin, own_size);

  std::vector<std::byte> apart(expected.size());
  communicator.all_gather(own, apart, offsets)->wait();
  EXPECT_EQ(apart, expected);

  std::vector<std::byte> in_place(expected.size());
  const auto place = std::span(in_place).subspan(own_begin, own_size);
  std::copy(own.begin(), own.end(), place.begin());
  communicator.all_gather(place, in_place, offsets)->wait();
  EXPECT_EQ(in_place, expected);
}

void expect_reductions(Communicator& communicator) {
  const std::int64_t me = communicator.rank();
  const std::int64_t ranks = communicator.world_size();
  // More values than one message of the smallest size carries.
  std::vector<std::int64_t> sum(37);
  for (std::int64_t i = 0; i < 37; ++i) {
    sum[static_cast<std::size_t>(i)] = (me + 1) * i - 5;
  }
  communicator.all_reduce_sum(sum)->wait();
  for (std::int64_t i = 0; i < 37; ++i) {
    EXPECT_EQ(sum[static_cast<std::size_t>(i)], ranks * (ranks + 1) / 2 * i - 5 * ranks);
  }
  std::vector<std::int64_t> large = {me == 0 ? std::int64_t{1} << 60 : 0};
  communicator.all_reduce_sum(large)->wait();
  EXPECT_EQ(large[0], std::int64_t{1} << 60);
  communicator.all_reduce_sum({})->wait();
}

void expect_broadcasts(Communicator& communicator) {
  for (int root = 0; root < communicator.world_size(); ++root) {
    std::vector<std::byte> bytes(101);
    std::vector<std::byte> expected;
    for (std::size_t i = 0; i < bytes.size(); ++i) expected.push_back(part_byte(root, 5, i));
    if (communicator.rank() == root) bytes = expected;
    communicator.broadcast(bytes, root)->wait();
    EXPECT_EQ(bytes, expected);
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

void expect_overlap(Communicator& communicator) {
  const auto ranks = static_cast<std::size_t>(communicator.world_size());
  constexpr std::size_t kCount = 8;
  std::vector<std::vector<std::byte>> sent(kCount);
  std::vector<std::vector<std::byte>> received(kCount);
  std::vector<std::vector<std::size_t>> offsets(kCount);
  std::vector<std::unique_ptr<Work>> under_way;
  for (std::size_t k = 0; k < kCount; ++k) {
    sent[k].assign((k + 1) * 100, part_byte(communicator.rank(), static_cast<int>(k), 0));
    received[k].resize(sent[k].size() * ranks);
    offsets[k] = offsets_of(std::vector<std::size_t>(ranks, sent[k].size()));
    under_way.push_back(communicator.all_gather(sent[k], received[k], offsets[k]));
  }
  while (!under_way.empty()) {
    under_way.back()->wait();
    under_way.pop_back();
  }
  for (std::size_t k = 0; k < kCount; ++k) {
    for (std::size_t i = 0; i < received[k].size(); ++i) {
      ASSERT_EQ(received[k][i],
                part_byte(static_cast<int>(i / sent[k].size()), static_cast<int>(k), 0));
    }
  }
}

void expect_refusals(Communicator& communicator) {
  const auto ranks = static_cast<std::size_t>(communicator.world_size());
  std::vector<std::byte> buffer(8);
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
  // After the refusals the group still works.
  std::vector<std::int64_t> one = {1};
  communicator.all_reduce_sum(one)->wait();
  EXPECT_EQ(one[0], communicator.world_size());
}

}  // namespace sbm::distributed
