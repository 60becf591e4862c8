#include "tests/distributed/stand_in_nccl.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <deque>
#include <utility>

#include "distributed/lasting_memory.h"

namespace sbm::distributed {
namespace {

constexpr int kHeaderTag = 1;
constexpr int kPayloadTag = 2;

enum Kind : std::uint64_t { kHello, kSend, kAllGather, kAllReduce, kReduceScatter, kBroadcast };

/// What sender and receiver of one message must agree on.
using Header = std::array<std::uint64_t, 3>;  // number, kind and root, bytes

/// What MPI may still write into, to the end of the process.
void keep(std::shared_ptr<void> given_up) {
  static auto* const kept = new std::vector<std::shared_ptr<void>>;
  kept->push_back(std::move(given_up));
}

std::string to_text(const Header& header) {
  static constexpr std::array<const char*, 6> kNames = {
      "hello", "send/receive", "all_gather", "all_reduce", "reduce_scatter", "broadcast"};
  return fmt::format("message {}, {} (root {}), {} bytes", header[0], kNames.at(header[1] % 16),
                     header[1] / 16, header[2]);
}

}  // namespace

/// The messages of one group. Memory lasts when it is given up on the way.
class StandInNccl::Exchange {
 public:
  Exchange(StandInNccl& owner) : owner_(owner) {}

  void send_to(int peer, Kind kind, int root, const void* from, std::size_t bytes) {
    outgoing_.push_back({peer, from, header(owner_.sent_, peer, kind, root, bytes)});
  }
  void receive_from(int peer, Kind kind, int root, void* to, std::size_t bytes) {
    incoming_.push_back({peer, to, header(owner_.received_, peer, kind, root, bytes)});
  }
  /// Memory for values that are to be added up.
  std::int64_t* scratch(std::size_t count) { return scratch_.emplace_back(count).data(); }
  void at_the_end(std::function<void()> action) { endings_.push_back(std::move(action)); }

  [[nodiscard]] bool empty() const { return outgoing_.empty() && incoming_.empty(); }

  bool poll() {
    if (!begun_) begin();
    for (Incoming& message : incoming_) {
      if (message.confirmed || !finished(message.request)) continue;
      message.confirmed = true;
      if (message.found != message.expected) {
        throw Misuse(fmt::format("rank {} sends {}, rank {} expects {}", message.peer,
                                 to_text(message.found), owner_.rank_, to_text(message.expected)));
      }
      MPI_Irecv(message.to, static_cast<int>(message.expected[2]), MPI_BYTE, message.peer,
                kPayloadTag, owner_.comm_, &message.request);
    }
    for (Incoming& message : incoming_) {
      if (!message.confirmed || !finished(message.request)) return false;
    }
    for (Outgoing& message : outgoing_) {
      for (MPI_Request& request : message.requests) {
        if (!finished(request)) return false;
      }
    }
    for (const auto& action : std::exchange(endings_, {})) action();
    return true;
  }

 private:
  struct Outgoing {
    int peer;
    const void* from;
    Header header;
    std::array<MPI_Request, 2> requests = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
  };
  struct Incoming {
    int peer;
    void* to;
    Header expected;
    Header found = {};
    MPI_Request request = MPI_REQUEST_NULL;
    bool confirmed = false;
  };

  static Header header(std::vector<std::uint64_t>& numbers, int peer, Kind kind, int root,
                       std::size_t bytes) {
    return {numbers[static_cast<std::size_t>(peer)]++, kind + 16 * static_cast<std::uint64_t>(root),
            bytes};
  }

  static bool finished(MPI_Request& request) {
    int done = 0;
    return MPI_Test(&request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done != 0;
  }

  void begin() {
    begun_ = true;
    for (Incoming& message : incoming_) {
      MPI_Irecv(message.found.data(), sizeof(Header), MPI_BYTE, message.peer, kHeaderTag,
                owner_.comm_, &message.request);
    }
    for (Outgoing& message : outgoing_) {
      MPI_Isend(message.header.data(), sizeof(Header), MPI_BYTE, message.peer, kHeaderTag,
                owner_.comm_, &message.requests[0]);
      MPI_Isend(message.from, static_cast<int>(message.header[2]), MPI_BYTE, message.peer,
                kPayloadTag, owner_.comm_, &message.requests[1]);
    }
  }

  StandInNccl& owner_;
  std::deque<Outgoing> outgoing_;  // their addresses are MPI's
  std::deque<Incoming> incoming_;
  std::vector<LastingVector<std::int64_t>> scratch_;
  std::vector<std::function<void()>> endings_;
  bool begun_ = false;
};

StandInNccl::StandInNccl(StandInStreams& streams, std::uint32_t seed, const StandInFaults& faults)
    : streams_(streams), faults_(faults), random_(seed) {
  MPI_Comm_dup(MPI_COMM_WORLD, &comm_);
  MPI_Comm_rank(comm_, &rank_);
  streams_.set_record_check([this](StreamHandle stream) {
    if (launching_ && launching_->stream == stream) {
      throw Misuse("an event is recorded before NCCL has taken over the operation before it");
    }
  });
}

StandInNccl::~StandInNccl() {
  EXPECT_TRUE(life_ == Life::kDestroyed || life_ == Life::kAborted)
      << "a communicator is neither destroyed nor aborted";
  EXPECT_EQ(depth_, 0) << "a group is still open";
  keep(hello_);
  for (auto& exchange : unfinished_) keep(std::move(exchange));
  if (life_ == Life::kDestroyed) MPI_Comm_free(&comm_);
}

int StandInNccl::draw_looks() { return std::uniform_int_distribution<int>(0, 3)(random_); }

NcclResult StandInNccl::library_version(int& code) {
  code = faults_.library_version;
  return NcclResult::kSuccess;
}

NcclResult StandInNccl::make_id(NcclId& id) {
  if (faults_.no_id) return NcclResult::kSystemError;
  for (std::byte& byte : id) byte = static_cast<std::byte>(random_() & 0xFFU);
  return NcclResult::kSuccess;
}

NcclResult StandInNccl::start(NcclHandle& comm, int world_size, const NcclId& id, int rank) {
  if (rank != rank_) throw Misuse("another rank than MPI's");
  comm = this;
  life_ = Life::kStarting;
  looks_ = draw_looks();
  world_size_ = world_size;
  sent_.assign(static_cast<std::size_t>(world_size), 0);
  received_ = sent_;
  hello_ = std::make_shared<Exchange>(*this);
  // Everybody's id comes to everybody: NCCL starts when all are there, and only with one id.
  const auto mine = std::make_shared<NcclId>(id);
  const auto theirs =
      std::make_shared<std::vector<NcclId>>(static_cast<std::size_t>(world_size), id);
  for (int peer = 0; peer < world_size; ++peer) {
    if (peer == rank_) continue;
    hello_->send_to(peer, kHello, 0, mine->data(), mine->size());
    auto& their_id = (*theirs)[static_cast<std::size_t>(peer)];
    hello_->receive_from(peer, kHello, 0, their_id.data(), their_id.size());
  }
  hello_->at_the_end([mine, theirs] {
    for (const NcclId& other : *theirs) {
      if (other != *mine) throw Misuse("the ranks start with different ids");
    }
  });
  return NcclResult::kInProgress;
}

void StandInNccl::require(NcclHandle comm, const char* call, bool in_group) const {
  if (comm != this) throw Misuse(std::string(call) + ": no communicator");
  if (life_ == Life::kAborted) throw Misuse(std::string(call) + " on an aborted communicator");
  if (life_ == Life::kDestroyed) throw Misuse(std::string(call) + " on a destroyed communicator");
  if (in_group != (depth_ > 0)) {
    throw Misuse(std::string(call) + (in_group ? " outside of a group" : " within a group"));
  }
}

NcclResult StandInNccl::async_error(NcclHandle comm, NcclResult& state) {
  require(comm, "ncclCommGetAsyncError", false);
  state = NcclResult::kSuccess;
  if (failed_) {
    state = faults_.async_error;
  } else if (life_ == Life::kStarting) {
    state = NcclResult::kInProgress;
    if (hello_->poll() && !faults_.start_never_ends && --looks_ < 0) life_ = Life::kReady;
  } else if (life_ == Life::kFinalizing) {
    state = NcclResult::kInProgress;
    if (--looks_ < 0) life_ = Life::kFinalized;
  } else if (launching_) {
    state = NcclResult::kInProgress;
    if (--looks_ < 0) launch();
  }
  return NcclResult::kSuccess;
}

std::string StandInNccl::last_error(NcclHandle) { return "so says the stand-in"; }

NcclResult StandInNccl::finalize(NcclHandle comm) {
  require(comm, "ncclCommFinalize", false);
  if (life_ != Life::kReady || launching_) throw Misuse("ncclCommFinalize while in progress");
  life_ = Life::kFinalizing;
  looks_ = draw_looks();
  return NcclResult::kInProgress;
}

NcclResult StandInNccl::destroy(NcclHandle comm) {
  require(comm, "ncclCommDestroy", false);
  if (life_ != Life::kFinalized) throw Misuse("ncclCommDestroy before ncclCommFinalize is done");
  life_ = Life::kDestroyed;
  return NcclResult::kSuccess;
}

NcclResult StandInNccl::abort(NcclHandle comm) {
  require(comm, "ncclCommAbort", false);
  life_ = Life::kAborted;
  // Messages under way keep their memory.
  keep_lasting_memory();
  launching_.reset();
  return NcclResult::kSuccess;
}

NcclResult StandInNccl::group_start() {
  if (launching_ || life_ == Life::kStarting) throw Misuse("ncclGroupStart while in progress");
  if (++depth_ == 1) open_ = Group{std::make_shared<Exchange>(*this), {}, nullptr};
  return NcclResult::kSuccess;
}

NcclResult StandInNccl::group_end() {
  if (depth_ == 0) throw Misuse("ncclGroupEnd without ncclGroupStart");
  if (--depth_ > 0) return NcclResult::kSuccess;
  Group group = *std::exchange(open_, std::nullopt);
  if (group.stream == nullptr) return NcclResult::kSuccess;  // no call at all
  const int number = groups_++;
  if (number == faults_.call_error_at) return NcclResult::kInvalidArgument;
  if (number == faults_.async_error_at) {
    failed_ = true;
    return NcclResult::kInProgress;
  }
  launching_ = std::move(group);
  looks_ = draw_looks();
  if (looks_ > 0) return NcclResult::kInProgress;
  launch();
  return NcclResult::kSuccess;
}

void StandInNccl::launch() {
  Group group = *std::exchange(launching_, std::nullopt);
  unfinished_.push_back(group.exchange);
  streams_.enqueue(group.stream, {.name = "NCCL",
                                  .accesses = std::move(group.accesses),
                                  .run = [this, exchange = group.exchange] {
                                    if (!aborted() && !exchange->poll()) return false;
                                    // The kernel of an aborted one returns, but MPI still has its
                                    // messages.
                                    if (!aborted()) std::erase(unfinished_, exchange);
                                    return true;
                                  }});
}

NcclResult StandInNccl::begin_call(const char* call, NcclHandle comm, StreamHandle stream) {
  require(comm, call, true);
  if (life_ != Life::kReady) throw Misuse(std::string(call) + " while in progress");
  if (open_->stream != nullptr && open_->stream != stream) {
    throw Misuse("one group in two streams");
  }
  open_->stream = stream;
  return groups_ == faults_.call_error_at ? NcclResult::kInvalidArgument : NcclResult::kSuccess;
}

void StandInNccl::touch(const std::byte* begin, std::size_t bytes, bool writes) {
  open_->accesses.push_back({begin, bytes, writes});
}

NcclResult StandInNccl::send(const std::byte* from, std::size_t bytes, int peer, NcclHandle comm,
                             StreamHandle stream) {
  const NcclResult result = begin_call("ncclSend", comm, stream);
  touch(from, bytes, false);
  open_->exchange->send_to(peer, kSend, 0, from, bytes);
  return result;
}

NcclResult StandInNccl::receive(std::byte* to, std::size_t bytes, int peer, NcclHandle comm,
                                StreamHandle stream) {
  const NcclResult result = begin_call("ncclRecv", comm, stream);
  touch(to, bytes, true);
  open_->exchange->receive_from(peer, kSend, 0, to, bytes);
  return result;
}

NcclResult StandInNccl::all_gather(const std::byte* from, std::byte* to, std::size_t part_bytes,
                                   NcclHandle comm, StreamHandle stream) {
  const NcclResult result = begin_call("ncclAllGather", comm, stream);
  const auto ranks = static_cast<std::size_t>(world_size_);
  touch(from, part_bytes, false);
  touch(to, part_bytes * ranks, true);
  Exchange& exchange = *open_->exchange;
  for (int peer = 0; peer < world_size_; ++peer) {
    if (peer == rank_) continue;
    exchange.send_to(peer, kAllGather, 0, from, part_bytes);
    exchange.receive_from(peer, kAllGather, 0, to + static_cast<std::size_t>(peer) * part_bytes,
                          part_bytes);
  }
  exchange.at_the_end([from, to, part_bytes, rank = static_cast<std::size_t>(rank_)] {
    std::memmove(to + rank * part_bytes, from, part_bytes);
  });
  return result;
}

NcclResult StandInNccl::all_reduce_sum(std::int64_t* values, std::size_t count, NcclHandle comm,
                                       StreamHandle stream) {
  const NcclResult result = begin_call("ncclAllReduce", comm, stream);
  const std::size_t bytes = count * sizeof(*values);
  touch(reinterpret_cast<const std::byte*>(values), bytes, true);
  Exchange& exchange = *open_->exchange;
  for (int peer = 0; peer < world_size_; ++peer) {
    if (peer == rank_) continue;
    std::int64_t* const theirs = exchange.scratch(count);
    exchange.send_to(peer, kAllReduce, 0, values, bytes);
    exchange.receive_from(peer, kAllReduce, 0, theirs, bytes);
    exchange.at_the_end([values, theirs, count] {
      for (std::size_t i = 0; i < count; ++i) {
        values[i] = static_cast<std::int64_t>(static_cast<std::uint64_t>(values[i]) +
                                              static_cast<std::uint64_t>(theirs[i]));
      }
    });
  }
  return result;
}

NcclResult StandInNccl::reduce_scatter_sum(const std::int64_t* from, std::int64_t* to,
                                           std::size_t own_count, NcclHandle comm,
                                           StreamHandle stream) {
  const NcclResult result = begin_call("ncclReduceScatter", comm, stream);
  const std::size_t bytes = own_count * sizeof(*to);
  touch(reinterpret_cast<const std::byte*>(from), bytes * static_cast<std::size_t>(world_size_),
        false);
  touch(reinterpret_cast<const std::byte*>(to), bytes, true);
  Exchange& exchange = *open_->exchange;
  exchange.at_the_end([from, to, bytes, own_count, rank = static_cast<std::size_t>(rank_)] {
    std::memcpy(to, from + rank * own_count, bytes);
  });
  for (int peer = 0; peer < world_size_; ++peer) {
    if (peer == rank_) continue;
    std::int64_t* const theirs = exchange.scratch(own_count);
    exchange.send_to(peer, kReduceScatter, 0, from + static_cast<std::size_t>(peer) * own_count,
                     bytes);
    exchange.receive_from(peer, kReduceScatter, 0, theirs, bytes);
    exchange.at_the_end([to, theirs, own_count] {
      for (std::size_t i = 0; i < own_count; ++i) to[i] += theirs[i];
    });
  }
  return result;
}

NcclResult StandInNccl::broadcast(std::byte* bytes, std::size_t count, int root, NcclHandle comm,
                                  StreamHandle stream) {
  const NcclResult result = begin_call("ncclBroadcast", comm, stream);
  touch(bytes, count, rank_ != root);
  Exchange& exchange = *open_->exchange;
  if (rank_ != root) {
    exchange.receive_from(root, kBroadcast, root, bytes, count);
    return result;
  }
  for (int peer = 0; peer < world_size_; ++peer) {
    if (peer != rank_) exchange.send_to(peer, kBroadcast, root, bytes, count);
  }
  return result;
}

}  // namespace sbm::distributed
