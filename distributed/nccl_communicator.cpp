#include "distributed/nccl_communicator.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "distributed/collective_arguments.h"
#include "distributed/nccl_start.h"
#include "distributed/nccl_work.h"

namespace sbm::distributed {
namespace {

template <typename Bytes>
auto part(const Bytes& buffer, std::span<const std::size_t> offsets, int peer) {
  const auto r = static_cast<std::size_t>(peer);
  return buffer.subspan(offsets[r], offsets[r + 1] - offsets[r]);
}

bool equal_parts(std::span<const std::size_t> offsets) {
  const std::size_t first = offsets[1] - offsets[0];
  for (std::size_t r = 1; r + 1 < offsets.size(); ++r) {
    if (offsets[r + 1] - offsets[r] != first) return false;
  }
  return true;
}

}  // namespace

NcclCommunicator::NcclCommunicator(Communicator& control, NcclParts parts,
                                   std::chrono::milliseconds timeout)
    : control_(control) {
  if (control.memory() != MemoryKind::kHost) {
    throw InternalError("NCCL is started by a communicator of host memory");
  }
  const bool has_peers = control.world_size() > 1;
  NcclId id{};
  if (has_peers) {
    check_nccl_ranks(control, *parts.library, *parts.streams);
    id = share_nccl_id(control, *parts.library);
  }
  group_ = std::make_shared<NcclGroup>(std::move(parts), control, timeout);
  if (has_peers) group_->start(id);
}

void NcclCommunicator::Calls::add(const char* name, NcclResult called) {
  const bool fine = called == NcclResult::kSuccess || called == NcclResult::kInProgress;
  if (fine || failed != nullptr) return;
  failed = name;
  result = called;
}

std::unique_ptr<Work> NcclCommunicator::start(const std::string& operation,
                                              const std::function<void()>& own,
                                              const std::function<void(Calls&)>& calls) {
  NcclGroup& group = *group_;
  group.watch(operation);
  const EventHandle ready = group.take_event();
  group.streams().record(ready, group.streams().current());
  group.streams().wait(group.side(), ready);
  group.return_event(ready);
  own();
  if (group.world_size() > 1) {
    group.check(group.library().group_start(), "ncclGroupStart", operation);
    Calls made;
    calls(made);
    made.add("ncclGroupEnd", group.library().group_end());
    if (made.failed != nullptr) group.check(made.result, made.failed, operation);
    // Until NCCL has it, the stream does not hold it, and an event would come before it.
    group.settle(operation);
  }
  return std::make_unique<NcclWork>(group_, operation);
}

void NcclCommunicator::copy_own(std::span<const std::byte> from, std::span<std::byte> to) {
  if (from.empty() || from.data() == to.data()) return;
  group_->streams().copy(from, to.data(), group_->side());
}

void NcclCommunicator::send_and_receive(Calls& calls, int peer, std::span<const std::byte> send,
                                        std::span<std::byte> receive) {
  NcclLibrary& library = group_->library();
  if (!send.empty()) {
    calls.add("ncclSend",
              library.send(send.data(), send.size(), peer, group_->handle(), group_->side()));
  }
  if (!receive.empty()) {
    calls.add("ncclRecv", library.receive(receive.data(), receive.size(), peer, group_->handle(),
                                          group_->side()));
  }
}

std::unique_ptr<Work> NcclCommunicator::all_to_all(std::span<const std::byte> send,
                                                   std::span<const std::size_t> send_offsets,
                                                   std::span<std::byte> receive,
                                                   std::span<const std::size_t> receive_offsets) {
  const int ranks = world_size();
  check_offsets("all_to_all", "send", send_offsets, send.size(), ranks);
  check_offsets("all_to_all", "receive", receive_offsets, receive.size(), ranks);
  const auto own_from = part(send, send_offsets, rank());
  const auto own_to = part(receive, receive_offsets, rank());
  check_own_part("all_to_all", own_from.size(), own_to.size(), rank());
  return start(
      "all_to_all", [&] { copy_own(own_from, own_to); },
      [&](Calls& calls) {
        for (int step = 1; step < ranks; ++step) {
          const int peer = (rank() + step) % ranks;
          send_and_receive(calls, peer, part(send, send_offsets, peer),
                           part(receive, receive_offsets, peer));
        }
      });
}

std::unique_ptr<Work> NcclCommunicator::all_gather(std::span<const std::byte> send,
                                                   std::span<std::byte> receive,
                                                   std::span<const std::size_t> receive_offsets) {
  const int ranks = world_size();
  check_offsets("all_gather", "receive", receive_offsets, receive.size(), ranks);
  const auto own_to = part(receive, receive_offsets, rank());
  check_own_part("all_gather", send.size(), own_to.size(), rank());
  if (equal_parts(receive_offsets) && !send.empty()) {
    return start(
        "all_gather", [&] { copy_own(send, own_to); },
        [&](Calls& calls) {
          calls.add("ncclAllGather",
                    group_->library().all_gather(own_to.data(), receive.data() + receive_offsets[0],
                                                 send.size(), group_->handle(), group_->side()));
        });
  }
  return start(
      "all_gather", [&] { copy_own(send, own_to); },
      [&](Calls& calls) {
        for (int step = 1; step < ranks; ++step) {
          const int peer = (rank() + step) % ranks;
          send_and_receive(calls, peer, send, part(receive, receive_offsets, peer));
        }
      });
}

std::unique_ptr<Work> NcclCommunicator::all_reduce_sum(std::span<std::int64_t> values) {
  return start(
      "all_reduce_sum", [] {},
      [&](Calls& calls) {
        if (values.empty()) return;
        calls.add("ncclAllReduce",
                  group_->library().all_reduce_sum(values.data(), values.size(), group_->handle(),
                                                   group_->side()));
      });
}

std::unique_ptr<Work> NcclCommunicator::reduce_scatter_sum(std::span<const std::int64_t> values,
                                                           std::span<std::int64_t> own) {
  check_equal_parts("reduce_scatter_sum", values.size(), own.size(), world_size());
  return start(
      "reduce_scatter_sum",
      [&] {
        if (world_size() == 1) copy_own(std::as_bytes(values), std::as_writable_bytes(own));
      },
      [&](Calls& calls) {
        if (own.empty()) return;
        calls.add("ncclReduceScatter",
                  group_->library().reduce_scatter_sum(values.data(), own.data(), own.size(),
                                                       group_->handle(), group_->side()));
      });
}

std::unique_ptr<Work> NcclCommunicator::broadcast(std::span<std::byte> bytes, int root) {
  check_root("broadcast", root, world_size());
  return start(
      "broadcast from rank " + std::to_string(root), [] {},
      [&](Calls& calls) {
        if (bytes.empty()) return;
        calls.add("ncclBroadcast", group_->library().broadcast(bytes.data(), bytes.size(), root,
                                                               group_->handle(), group_->side()));
      });
}

std::unique_ptr<Work> NcclCommunicator::barrier() {
  return start(
      "barrier", [] {},
      [&](Calls& calls) {
        // What the value is, and that it wraps around, is all one: its arrival counts.
        const auto token = group_->token();
        calls.add("ncclAllReduce",
                  group_->library().all_reduce_sum(token.data(), token.size(), group_->handle(),
                                                   group_->side()));
      });
}

void NcclCommunicator::synchronize() {
  const std::string operation = "the work of the current stream";
  group_->watch(operation);
  const EventHandle done = group_->take_event();
  group_->streams().record(done, group_->streams().current());
  group_->wait_until(operation, [&] { return group_->streams().done(done); });
  group_->return_event(done);
  group_->watch(operation);
}

std::unique_ptr<FailureNotices> NcclCommunicator::make_failure_notices() {
  return control_.make_failure_notices();
}

void NcclCommunicator::abort(int exit_code) {
  group_->give_up(group_->who() + " ends the job with exit code " + std::to_string(exit_code));
  control_.abort(exit_code);
  throw InternalError("abort returned on " + group_->who());
}

}  // namespace sbm::distributed
