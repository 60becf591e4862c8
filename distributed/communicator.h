#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

// The collectives that training needs, whoever carries them: one process, MPI on the CPU, NCCL on
// GPUs. Everything that decides bits (sums of floats) lives above this interface, in a fixed order;
// a Communicator only moves bytes and sums integers.
namespace sbm::distributed {

/// Where the buffers of a communicator lie.
enum class MemoryKind {
  kHost,
  kDevice,  ///< on the GPU; operations are ordered with the caller's current stream
};

/// A collective under way. Dropping it without a wait is an error of the caller; the group is then
/// of no more use.
class Work {
 public:
  virtual ~Work() = default;
  /// Returns when the buffers may be used again. Throws CommunicationError naming operation, rank,
  /// host and the seconds waited when the deadline passes or a peer fails. The deadline counts from
  /// this call, since MPI need not move anything before it. After a missed deadline wait() may be
  /// called once more, except over NCCL, where a failure of any rank ends the group.
  virtual void wait() = 0;
  /// What the caller puts into the current stream from now on runs after this operation; the host
  /// goes on at once. The deadline counts from this call, and is looked at by the communicator's
  /// later calls: whoever then waits for the stream does so by Communicator::synchronize(). For
  /// host memory the same as wait().
  virtual void wait_in_stream() { wait(); }
};

/// Tells the ranks of a group of one another's failures, beside the operations that then never end.
class FailureNotices {
 public:
  virtual ~FailureNotices() = default;
  /// Sends `message` to every other rank, best effort; returns within seconds. Once.
  virtual void tell(const std::string& message) noexcept = 0;
  /// A message that some rank has sent, or nothing. Returns at once.
  [[nodiscard]] virtual std::optional<std::string> poll() = 0;
};

/// One rank's end of a group. Every rank calls the same operations in the same order, from one
/// thread. Buffers stay alive and untouched until wait(); since an error may come before that, they
/// are lasting memory (LastingVector, AlignedBuffer). Buffers are memory of the kind memory().
class Communicator {
 public:
  virtual ~Communicator() = default;

  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int world_size() const = 0;
  [[nodiscard]] virtual int local_rank() const = 0;  ///< rank among those of this host
  [[nodiscard]] virtual const std::string& host() const = 0;
  [[nodiscard]] virtual MemoryKind memory() const { return MemoryKind::kHost; }

  /// The deadline of each collective from now on.
  virtual void set_timeout(std::chrono::seconds timeout) = 0;
  /// The optimiser step that errors name from now on.
  virtual void set_step(std::int64_t step) = 0;

  /// Sends send[send_offsets[r] .. send_offsets[r + 1]) to rank r and receives rank r's part into
  /// receive[receive_offsets[r] ..]. Offsets have world_size + 1 entries, in bytes. Any size.
  virtual std::unique_ptr<Work> all_to_all(std::span<const std::byte> send,
                                           std::span<const std::size_t> send_offsets,
                                           std::span<std::byte> receive,
                                           std::span<const std::size_t> receive_offsets) = 0;
  /// Every rank's part in rank order in `receive`; offsets as above. `send` may be this rank's own
  /// part of `receive`.
  virtual std::unique_ptr<Work> all_gather(std::span<const std::byte> send,
                                           std::span<std::byte> receive,
                                           std::span<const std::size_t> receive_offsets) = 0;
  /// Elementwise integer sum over ranks, in place.
  virtual std::unique_ptr<Work> all_reduce_sum(std::span<std::int64_t> values) = 0;
  /// Elementwise integer sum over ranks of this rank's part: `values` holds world_size parts of
  /// own.size() values each, in rank order; `own` receives the sum of the parts of this rank, at
  /// most 2^31 - 1 values.
  virtual std::unique_ptr<Work> reduce_scatter_sum(std::span<const std::int64_t> values,
                                                   std::span<std::int64_t> own) = 0;
  virtual std::unique_ptr<Work> broadcast(std::span<std::byte> bytes, int root) = 0;
  virtual std::unique_ptr<Work> barrier() = 0;

  /// Returns when everything in the current stream is done, operations that were waited for in the
  /// stream included; meanwhile watches their deadlines and the peers. Throws CommunicationError.
  /// Nothing to do for host memory.
  virtual void synchronize() {}

  /// A way beside the operations to tell the other ranks of a failure. Collective.
  virtual std::unique_ptr<FailureNotices> make_failure_notices() = 0;

  /// Ends every rank of the group with this exit code, now; does not return for MPI. SingleProcess
  /// throws CommunicationError.
  [[noreturn]] virtual void abort(int exit_code) = 0;
};

/// Variable-length strings of all ranks, in rank order, on every rank. These two move host memory:
/// InternalError for a communicator of another kind.
std::vector<std::string> all_gather_strings(Communicator& communicator, const std::string& mine);
/// root's string on every rank.
std::string broadcast_string(Communicator& communicator, const std::string& value, int root);

/// Notices for a group whose failures reach all of it by themselves: tells nobody, hears nothing.
std::unique_ptr<FailureNotices> make_silent_notices();

/// The group of one in host memory: every operation copies or does nothing.
std::unique_ptr<Communicator> make_single_process_communicator();

}  // namespace sbm::distributed
