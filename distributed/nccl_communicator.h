#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "distributed/communicator.h"
#include "distributed/nccl_group.h"

namespace sbm::distributed {

/// Device memory over NCCL, on a stream of its own that is ordered by events with the caller's
/// current stream. Counts are 64-bit in NCCL, so parts travel whole. all_to_all is grouped
/// point-to-point, which keeps every sum of floats in its owner's hands; so is all_gather of parts
/// of unequal length. A group of one calls no NCCL. When any rank fails, every rank's next call or
/// wait throws that rank's message; the group is then of no more use.
class NcclCommunicator final : public Communicator {
 public:
  /// Collective. Rank and place are those of `control`, whose host memory carries the id; it
  /// outlives this. Throws CommunicationError, on every rank alike, when a library is older than
  /// the headers or another than a peer's; ConfigError, likewise, when two ranks share a GPU (see
  /// distributed/nccl_start.h); CommunicationError when NCCL does not start within the timeout.
  NcclCommunicator(Communicator& control, NcclParts parts, std::chrono::milliseconds timeout);

  [[nodiscard]] int rank() const override { return group_->rank(); }
  [[nodiscard]] int world_size() const override { return group_->world_size(); }
  [[nodiscard]] int local_rank() const override { return group_->local_rank(); }
  [[nodiscard]] const std::string& host() const override { return group_->host(); }
  [[nodiscard]] MemoryKind memory() const override { return MemoryKind::kDevice; }

  void set_timeout(std::chrono::seconds timeout) override { group_->set_timeout(timeout); }
  void set_step(std::int64_t step) override { group_->set_step(step); }

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
  /// Ends when every rank's current stream has come so far.
  std::unique_ptr<Work> barrier() override;

  void synchronize() override;
  std::unique_ptr<FailureNotices> make_failure_notices() override;
  /// Tells the peers, aborts NCCL here, and then as `control` does.
  [[noreturn]] void abort(int exit_code) override;

 private:
  /// The first failure among the calls of one group: NCCL wants the group's end before its abort.
  struct Calls {
    void add(const char* name, NcclResult result);
    const char* failed = nullptr;
    NcclResult result = NcclResult::kSuccess;
  };

  /// Puts one operation into the side stream: `own` on this rank alone, then, with peers, `calls`
  /// as one group.
  std::unique_ptr<Work> start(const std::string& operation, const std::function<void()>& own,
                              const std::function<void(Calls&)>& calls);
  void copy_own(std::span<const std::byte> from, std::span<std::byte> to);
  void send_and_receive(Calls& calls, int peer, std::span<const std::byte> send,
                        std::span<std::byte> receive);

  Communicator& control_;
  std::shared_ptr<NcclGroup> group_;
};

}  // namespace sbm::distributed
