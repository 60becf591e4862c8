#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "distributed/communicator.h"
#include "distributed/device_stream.h"
#include "distributed/nccl_library.h"

namespace sbm::distributed {

/// What a communicator over NCCL stands on.
struct NcclParts {
  std::unique_ptr<NcclLibrary> library;
  std::unique_ptr<DeviceStreams> streams;
  std::unique_ptr<FailureNotices> notices;
};

/// What NcclCommunicator and its operations under way share: the communicator's handle, the side
/// stream, who waits for what, and how all of it ends when something fails. One thread calls it, so
/// no thread is inside NCCL when the group aborts; and the communicator is non-blocking, so none
/// can be held there.
class NcclGroup {
 public:
  NcclGroup(NcclParts parts, const Communicator& control, std::chrono::milliseconds timeout);
  /// Ends the communicator: in peace when nothing failed and nothing is under way, else by abort.
  ~NcclGroup();
  NcclGroup(const NcclGroup&) = delete;
  NcclGroup& operator=(const NcclGroup&) = delete;

  /// Collective: makes the communicator of `id`. Throws as fail() does.
  void start(const NcclId& id);

  /// Throws InternalError on another thread, CommunicationError after a failure or an abandoned
  /// operation.
  void check_usable(const std::string& operation) const;
  /// One look at everything that may have gone wrong: notices of peers, NCCL's asynchronous error,
  /// deadlines of operations that only a stream waits for. Throws as fail() does.
  void watch(const std::string& operation);
  /// Returns when `done` says so; watches meanwhile. Throws as fail() does, also when the deadline
  /// passes.
  void wait_until(const std::string& operation, const std::function<bool()>& done);
  /// The one place where NCCL's results become errors: all but success and "in progress" do.
  void check(NcclResult result, std::string_view call, const std::string& operation,
             std::source_location where = std::source_location::current());
  /// Waits until NCCL has taken over what it was last given.
  void settle(const std::string& operation);

  /// The end of this group: tells the peers, aborts the communicator, keeps the buffers, and throws
  /// CommunicationError(message).
  [[noreturn]] void fail(const std::string& message);
  /// Without an exception, for abort() and for operations that are dropped.
  void give_up(const std::string& message) noexcept;

  EventHandle take_event();
  void return_event(EventHandle event) { free_events_.push_back(event); }
  /// From now on watch() looks after the operation that `done` ends.
  void watch_over(std::string operation, EventHandle done);

  /// One value for barriers to sum, in device memory.
  [[nodiscard]] std::span<std::int64_t> token() const {
    return {reinterpret_cast<std::int64_t*>(token_), 1};
  }

  /// "rank 1 of 4 (host node07, step 12)".
  [[nodiscard]] std::string who() const;

  NcclLibrary& library() { return *parts_.library; }
  DeviceStreams& streams() { return *parts_.streams; }
  [[nodiscard]] NcclHandle handle() const { return handle_; }
  [[nodiscard]] StreamHandle side() const { return side_; }
  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int world_size() const { return world_size_; }
  [[nodiscard]] int local_rank() const { return local_rank_; }
  [[nodiscard]] const std::string& host() const { return host_; }
  void set_timeout(std::chrono::milliseconds timeout) { timeout_ = timeout; }
  void set_step(std::int64_t step) { step_ = step; }

 private:
  struct Pending {
    std::string operation;
    EventHandle done;
    std::chrono::steady_clock::time_point since;
  };

  void check_notices();
  void check_async_error(const std::string& operation);
  void check_pending();
  [[nodiscard]] std::string late_text(const std::string& operation,
                                      std::chrono::steady_clock::duration waited) const;

  NcclParts parts_;
  int rank_;
  int world_size_;
  int local_rank_;
  std::string host_;
  std::chrono::milliseconds timeout_;
  std::int64_t step_ = 0;
  std::thread::id thread_ = std::this_thread::get_id();
  NcclHandle handle_ = nullptr;
  StreamHandle side_ = nullptr;
  std::byte* token_ = nullptr;
  std::vector<EventHandle> all_events_;
  std::vector<EventHandle> free_events_;
  std::deque<Pending> pending_;
  std::string failure_;  ///< empty while all is well
  int exceptions_at_start_;
};

}  // namespace sbm::distributed
