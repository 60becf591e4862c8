#include "distributed/mpi_failure_notices.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <vector>

#include "distributed/mpi_check.h"
#include "distributed/poll_pause.h"

namespace sbm::distributed {
namespace {

constexpr int kTag = 0;
// Small messages leave at once; a peer whose host died takes none.
constexpr std::chrono::seconds kLongestTelling{2};

}  // namespace

MpiFailureNotices::MpiFailureNotices(MPI_Comm parent, const std::string& who)
    : who_(who), incoming_(kMaxBytes), exceptions_at_start_(std::uncaught_exceptions()) {
  check_mpi(MPI_Comm_dup(parent, &comm_), "MPI_Comm_dup", who_);
  check_mpi(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler", who_);
  check_mpi(MPI_Irecv(incoming_.data(), static_cast<int>(kMaxBytes), MPI_CHAR, MPI_ANY_SOURCE, kTag,
                      comm_, &receive_),
            "MPI_Irecv of a failure notice", who_);
}

MpiFailureNotices::~MpiFailureNotices() {
  int finalised = 0;
  if (MPI_Finalized(&finalised) != MPI_SUCCESS || finalised != 0) return;
  if (failed_ || std::uncaught_exceptions() > exceptions_at_start_) {
    keep_lasting_memory();
    return;
  }
  if (receive_ != MPI_REQUEST_NULL && MPI_Cancel(&receive_) == MPI_SUCCESS) {
    MPI_Wait(&receive_, MPI_STATUS_IGNORE);
  }
  MPI_Comm_free(&comm_);
}

void MpiFailureNotices::tell(const std::string& message) noexcept {
  failed_ = true;
  int rank = 0;
  int ranks = 0;
  if (MPI_Comm_rank(comm_, &rank) != MPI_SUCCESS || MPI_Comm_size(comm_, &ranks) != MPI_SUCCESS) {
    return;
  }
  outgoing_.assign(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                          message.size(), std::size_t{kMaxBytes})));
  std::vector<MPI_Request> requests;
  for (int peer = 0; peer < ranks; ++peer) {
    if (peer == rank) continue;
    requests.push_back(MPI_REQUEST_NULL);
    MPI_Isend(outgoing_.data(), static_cast<int>(outgoing_.size()), MPI_CHAR, peer, kTag, comm_,
              &requests.back());
  }
  const auto start = std::chrono::steady_clock::now();
  int done = 0;
  while (MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done,
                     MPI_STATUSES_IGNORE) == MPI_SUCCESS &&
         done == 0) {
    const auto waited = std::chrono::steady_clock::now() - start;
    if (waited > kLongestTelling) return keep_lasting_memory();
    pause_between_polls(waited);
  }
}

std::optional<std::string> MpiFailureNotices::poll() {
  if (receive_ == MPI_REQUEST_NULL) return std::nullopt;
  int arrived = 0;
  MPI_Status status;
  check_mpi(MPI_Test(&receive_, &arrived, &status), "MPI_Test of a failure notice", who_);
  if (arrived == 0) return std::nullopt;
  failed_ = true;
  int bytes = 0;
  check_mpi(MPI_Get_count(&status, MPI_CHAR, &bytes), "MPI_Get_count", who_);
  return std::string(incoming_.data(), static_cast<std::size_t>(bytes));
}

}  // namespace sbm::distributed
