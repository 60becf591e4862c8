#include "distributed/mpi_communicator.h"

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

#include "base/error.h"
#include "distributed/collective_arguments.h"
#include "distributed/mpi_check.h"
#include "distributed/mpi_failure_notices.h"

namespace sbm::distributed {
namespace {

// Messages between two ranks arrive in the order in which they were sent, and every rank calls the
// same operations in the same order: one tag is enough.
constexpr int kTag = 0;

}  // namespace

MpiCommunicator::MpiCommunicator(MPI_Comm parent, std::size_t max_message_bytes)
    : group_(std::make_shared<MpiGroup>()),
      max_message_bytes_(max_message_bytes),
      exceptions_at_start_(std::uncaught_exceptions()) {
  if (max_message_bytes < sizeof(std::int64_t) || max_message_bytes > kMaxMessageBytes ||
      max_message_bytes % sizeof(std::int64_t) != 0) {
    throw InternalError("messages of " + std::to_string(max_message_bytes) +
                        " bytes: expected a multiple of 8 from 8 to " +
                        std::to_string(kMaxMessageBytes));
  }
  const std::string starting = "a rank that starts";
  std::array<char, MPI_MAX_PROCESSOR_NAME> name{};
  int length = 0;
  check_mpi(MPI_Get_processor_name(name.data(), &length), "MPI_Get_processor_name", starting);
  group_->host.assign(name.data(), static_cast<std::size_t>(length));
  check_mpi(MPI_Comm_dup(parent, &group_->comm), "MPI_Comm_dup", starting);
  check_mpi(MPI_Comm_set_errhandler(group_->comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler",
            starting);
  check_mpi(MPI_Comm_rank(group_->comm, &group_->rank), "MPI_Comm_rank", starting);
  check_mpi(MPI_Comm_size(group_->comm, &group_->world_size), "MPI_Comm_size", starting);

  MPI_Comm same_host = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(group_->comm, MPI_COMM_TYPE_SHARED, group_->rank, MPI_INFO_NULL,
                                &same_host),
            "MPI_Comm_split_type", group_->who());
  check_mpi(MPI_Comm_rank(same_host, &local_rank_), "MPI_Comm_rank", group_->who());
  check_mpi(MPI_Comm_free(&same_host), "MPI_Comm_free", group_->who());
}

MpiCommunicator::~MpiCommunicator() {
  // Freeing is collective: after an error the peers may never come.
  if (!group_->abandoned.empty() || std::uncaught_exceptions() > exceptions_at_start_) return;
  int finalised = 0;
  if (MPI_Finalized(&finalised) == MPI_SUCCESS && finalised == 0) MPI_Comm_free(&group_->comm);
}

void MpiCommunicator::start_receive(MpiWork& work, std::span<std::byte> part, int peer) {
  for (std::size_t at = 0; at < part.size(); at += max_message_bytes_) {
    const int bytes = static_cast<int>(std::min(max_message_bytes_, part.size() - at));
    check_mpi(MPI_Irecv(part.data() + at, bytes, MPI_BYTE, peer, kTag, group_->comm,
                        work.add(peer, bytes)),
              "MPI_Irecv from rank " + std::to_string(peer), group_->who());
  }
}

void MpiCommunicator::start_send(MpiWork& work, std::span<const std::byte> part, int peer) {
  for (std::size_t at = 0; at < part.size(); at += max_message_bytes_) {
    const int bytes = static_cast<int>(std::min(max_message_bytes_, part.size() - at));
    check_mpi(
        MPI_Isend(part.data() + at, bytes, MPI_BYTE, peer, kTag, group_->comm, work.add(peer)),
        "MPI_Isend to rank " + std::to_string(peer), group_->who());
  }
}

std::unique_ptr<Work> MpiCommunicator::all_to_all(std::span<const std::byte> send,
                                                  std::span<const std::size_t> send_offsets,
                                                  std::span<std::byte> receive,
                                                  std::span<const std::size_t> receive_offsets) {
  const int ranks = group_->world_size;
  check_offsets("all_to_all", "send", send_offsets, send.size(), ranks);
  check_offsets("all_to_all", "receive", receive_offsets, receive.size(), ranks);
  const auto part = [](const auto& buffer, std::span<const std::size_t> offsets, int peer) {
    const auto r = static_cast<std::size_t>(peer);
    return buffer.subspan(offsets[r], offsets[r + 1] - offsets[r]);
  };
  const auto own_from = part(send, send_offsets, group_->rank);
  const auto own_to = part(receive, receive_offsets, group_->rank);
  check_own_part("all_to_all", own_from.size(), own_to.size(), group_->rank);

  auto work = std::make_unique<MpiWork>(group_, "all_to_all");
  // Every rank begins with its neighbour, so that not all send to rank 0 first.
  for (int step = 1; step < ranks; ++step) {
    const int from = (group_->rank + ranks - step) % ranks;
    start_receive(*work, part(receive, receive_offsets, from), from);
  }
  for (int step = 1; step < ranks; ++step) {
    const int to = (group_->rank + step) % ranks;
    start_send(*work, part(send, send_offsets, to), to);
  }
  copy_own_part(own_from, own_to);
  return work;
}

std::unique_ptr<Work> MpiCommunicator::all_gather(std::span<const std::byte> send,
                                                  std::span<std::byte> receive,
                                                  std::span<const std::size_t> receive_offsets) {
  const int ranks = group_->world_size;
  check_offsets("all_gather", "receive", receive_offsets, receive.size(), ranks);
  const auto part = [&](int peer) {
    const auto r = static_cast<std::size_t>(peer);
    return receive.subspan(receive_offsets[r], receive_offsets[r + 1] - receive_offsets[r]);
  };
  check_own_part("all_gather", send.size(), part(group_->rank).size(), group_->rank);

  auto work = std::make_unique<MpiWork>(group_, "all_gather");
  for (int step = 1; step < ranks; ++step) {
    const int from = (group_->rank + ranks - step) % ranks;
    start_receive(*work, part(from), from);
  }
  for (int step = 1; step < ranks; ++step) {
    start_send(*work, send, (group_->rank + step) % ranks);
  }
  copy_own_part(send, part(group_->rank));
  return work;
}

std::unique_ptr<Work> MpiCommunicator::all_reduce_sum(std::span<std::int64_t> values) {
  auto work = std::make_unique<MpiWork>(group_, "all_reduce_sum");
  const std::size_t most = max_message_bytes_ / sizeof(std::int64_t);
  for (std::size_t at = 0; at < values.size(); at += most) {
    const int count = static_cast<int>(std::min(most, values.size() - at));
    check_mpi(MPI_Iallreduce(MPI_IN_PLACE, values.data() + at, count, MPI_INT64_T, MPI_SUM,
                             group_->comm, work->add(MpiWork::kEveryone)),
              "MPI_Iallreduce", group_->who());
  }
  return work;
}

std::unique_ptr<Work> MpiCommunicator::reduce_scatter_sum(std::span<const std::int64_t> values,
                                                          std::span<std::int64_t> own) {
  check_equal_parts("reduce_scatter_sum", values.size(), own.size(), group_->world_size);
  auto work = std::make_unique<MpiWork>(group_, "reduce_scatter_sum");
  check_mpi(
      MPI_Ireduce_scatter_block(values.data(), own.data(), static_cast<int>(own.size()),
                                MPI_INT64_T, MPI_SUM, group_->comm, work->add(MpiWork::kEveryone)),
      "MPI_Ireduce_scatter_block", group_->who());
  return work;
}

std::unique_ptr<Work> MpiCommunicator::broadcast(std::span<std::byte> bytes, int root) {
  check_root("broadcast", root, group_->world_size);
  auto work = std::make_unique<MpiWork>(group_, "broadcast from rank " + std::to_string(root));
  for (std::size_t at = 0; at < bytes.size(); at += max_message_bytes_) {
    const int count = static_cast<int>(std::min(max_message_bytes_, bytes.size() - at));
    check_mpi(MPI_Ibcast(bytes.data() + at, count, MPI_BYTE, root, group_->comm,
                         work->add(MpiWork::kEveryone)),
              "MPI_Ibcast", group_->who());
  }
  return work;
}

std::unique_ptr<Work> MpiCommunicator::barrier() {
  auto work = std::make_unique<MpiWork>(group_, "barrier");
  check_mpi(MPI_Ibarrier(group_->comm, work->add(MpiWork::kEveryone)), "MPI_Ibarrier",
            group_->who());
  return work;
}

std::unique_ptr<FailureNotices> MpiCommunicator::make_failure_notices() {
  return std::make_unique<MpiFailureNotices>(group_->comm, group_->who());
}

void MpiCommunicator::abort(int exit_code) {
  MPI_Abort(group_->comm, exit_code);
  throw CommunicationError("MPI_Abort returned on " + group_->who());
}

}  // namespace sbm::distributed
