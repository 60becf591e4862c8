#pragma once

#include <mpi.h>

#include <cstddef>
#include <memory>
#include <string>

#include "distributed/communicator.h"
#include "distributed/mpi_work.h"

namespace sbm::distributed {

/// Host memory over MPI. MPI's counts are 32-bit, so a part travels as messages of at most
/// max_message_bytes. all_to_all and all_gather are made of point-to-point messages: the vector
/// collectives of MPI 3 cannot even address parts that begin beyond 2 GiB, both move the same
/// bytes, and a receive that never ends names the peer that is missing.
class MpiCommunicator final : public Communicator {
 public:
  static constexpr std::size_t kMaxMessageBytes = std::size_t{1} << 30;

  /// Collective. Takes a private duplicate of `parent`, with errors returned. Throws InternalError
  /// when max_message_bytes is not a multiple of 8 within [8, kMaxMessageBytes],
  /// CommunicationError when MPI fails.
  explicit MpiCommunicator(MPI_Comm parent, std::size_t max_message_bytes = kMaxMessageBytes);
  ~MpiCommunicator() override;
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;

  [[nodiscard]] int rank() const override { return group_->rank; }
  [[nodiscard]] int world_size() const override { return group_->world_size; }
  [[nodiscard]] int local_rank() const override { return local_rank_; }
  [[nodiscard]] const std::string& host() const override { return group_->host; }

  void set_timeout(std::chrono::seconds timeout) override { group_->timeout = timeout; }
  void set_step(std::int64_t step) override { group_->step = step; }

  std::unique_ptr<Work> all_to_all(std::span<const std::byte> send,
                                   std::span<const std::size_t> send_offsets,
                                   std::span<std::byte> receive,
                                   std::span<const std::size_t> receive_offsets) override;
  std::unique_ptr<Work> all_gather(std::span<const std::byte> send, std::span<std::byte> receive,
                                   std::span<const std::size_t> receive_offsets) override;
  std::unique_ptr<Work> all_reduce_sum(std::span<std::int64_t> values) override;
  std::unique_ptr<Work> reduce_scatter_sum(std::span<const std::int64_t> values,
                                           std::span<std::int64_t> own) override;
  std::unique_ptr<Work> broadcast(std::span<std::byte> bytes, int root) override;
  std::unique_ptr<Work> barrier() override;
  std::unique_ptr<FailureNotices> make_failure_notices() override;

  [[noreturn]] void abort(int exit_code) override;

 private:
  void start_receive(MpiWork& work, std::span<std::byte> part, int peer);
  void start_send(MpiWork& work, std::span<const std::byte> part, int peer);

  std::shared_ptr<MpiGroup> group_;
  std::size_t max_message_bytes_;
  int local_rank_ = 0;
  int exceptions_at_start_;
};

}  // namespace sbm::distributed
