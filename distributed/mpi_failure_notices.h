#pragma once

#include <mpi.h>

#include <optional>
#include <string>

#include "distributed/communicator.h"
#include "distributed/lasting_memory.h"

namespace sbm::distributed {

/// Notices as messages of a communicator of their own, for which every rank always has a receive
/// open. Polled by the thread that calls MPI.
class MpiFailureNotices final : public FailureNotices {
 public:
  /// Longer messages are cut.
  static constexpr std::size_t kMaxBytes = 2048;

  /// Collective. Throws CommunicationError when MPI fails.
  MpiFailureNotices(MPI_Comm parent, const std::string& who);
  ~MpiFailureNotices() override;
  MpiFailureNotices(const MpiFailureNotices&) = delete;
  MpiFailureNotices& operator=(const MpiFailureNotices&) = delete;

  void tell(const std::string& message) noexcept override;
  [[nodiscard]] std::optional<std::string> poll() override;

 private:
  std::string who_;
  MPI_Comm comm_ = MPI_COMM_NULL;
  MPI_Request receive_ = MPI_REQUEST_NULL;
  LastingVector<char> incoming_;
  LastingVector<char> outgoing_;
  int exceptions_at_start_;
  bool failed_ = false;  ///< some rank has: peers may never come to the end of this group
};

}  // namespace sbm::distributed
