#pragma once

#include <mpi.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "distributed/communicator.h"

namespace sbm::distributed {

/// What a communicator and its collectives under way share.
struct MpiGroup {
  MPI_Comm comm = MPI_COMM_NULL;
  int rank = 0;
  int world_size = 1;
  std::string host;
  std::int64_t step = 0;  ///< that errors name; 0 before the first
  std::chrono::milliseconds timeout = std::chrono::minutes(10);
  std::thread::id thread = std::this_thread::get_id();  ///< the one that calls MPI (FUNNELED)
  std::string abandoned;  ///< the operation whose Work was dropped unfinished, or empty

  /// "rank 1 of 4 (host node07, step 12)".
  [[nodiscard]] std::string who() const;
  /// Throws InternalError on another thread than the group's, CommunicationError after an
  /// abandoned operation: what it did to its buffers, and will do yet, nobody knows.
  void check_usable(const std::string& operation) const;
};

/// The requests of one operation, polled: a blocking MPI call would know no deadline.
class MpiWork final : public Work {
 public:
  MpiWork(std::shared_ptr<MpiGroup> group, std::string operation);
  ~MpiWork() override;
  MpiWork(const MpiWork&) = delete;
  MpiWork& operator=(const MpiWork&) = delete;

  /// Room for a request to or from `peer` (kEveryone: a collective). Of a receive, `expected` bytes
  /// must arrive.
  MPI_Request* add(int peer, int expected = kAnySize);

  void wait() override;

  static constexpr int kEveryone = -1;
  static constexpr int kAnySize = -1;

 private:
  struct Part {
    int peer;
    int expected;
  };

  bool poll();
  [[nodiscard]] std::string missing_peers() const;

  std::shared_ptr<MpiGroup> group_;
  std::string operation_;
  std::vector<MPI_Request> requests_;
  std::vector<MPI_Status> statuses_;
  std::vector<Part> parts_;
  bool finished_ = false;
};

}  // namespace sbm::distributed
