#include "distributed/mpi_work.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "distributed/lasting_memory.h"
#include "distributed/mpi_check.h"
#include "distributed/poll_pause.h"
#include "distributed/rank_place.h"

namespace sbm::distributed {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

std::string MpiGroup::who() const { return place_text(rank, world_size, host, step); }

void MpiGroup::check_usable(const std::string& operation) const {
  if (std::this_thread::get_id() != thread) {
    throw InternalError(operation + " on " + who() +
                        ": called from a thread that may not call MPI");
  }
  if (!abandoned.empty()) {
    throw CommunicationError(operation + " on " + who() + ": refused, because an earlier " +
                             abandoned + " was given up unfinished");
  }
}

MpiWork::MpiWork(std::shared_ptr<MpiGroup> group, std::string operation)
    : group_(std::move(group)), operation_(std::move(operation)) {
  group_->check_usable(operation_);
}

MpiWork::~MpiWork() {
  if (finished_) return;
  group_->abandoned = operation_;
  keep_lasting_memory();
}

MPI_Request* MpiWork::add(int peer, int expected) {
  parts_.push_back({peer, expected});
  requests_.push_back(MPI_REQUEST_NULL);
  return &requests_.back();
}

bool MpiWork::poll() {
  if (requests_.empty()) return true;
  statuses_.resize(requests_.size());
  int done = 0;
  const int code =
      MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done, statuses_.data());
  if (code == MPI_ERR_IN_STATUS) {
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      const int error = statuses_[i].MPI_ERROR;
      if (error == MPI_ERR_PENDING) continue;
      const std::string peer =
          parts_[i].peer == kEveryone ? "" : " with rank " + std::to_string(parts_[i].peer);
      check_mpi(error, operation_ + peer, group_->who());
    }
  }
  check_mpi(code, operation_, group_->who());
  return done != 0;
}

std::string MpiWork::missing_peers() const {
  std::set<int> missing;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    int done = 0;
    const bool known =
        parts_[i].peer != kEveryone &&
        MPI_Request_get_status(requests_[i], &done, MPI_STATUS_IGNORE) == MPI_SUCCESS;
    if (known && done == 0) missing.insert(parts_[i].peer);
  }
  if (missing.empty()) return "some peer";
  return fmt::format("{} {}", missing.size() == 1 ? "rank" : "ranks", fmt::join(missing, ", "));
}

void MpiWork::wait() {
  if (finished_) return;
  group_->check_usable(operation_);
  const auto start = Clock::now();
  while (!poll()) {
    const auto waited = Clock::now() - start;
    if (waited > group_->timeout) {
      throw CommunicationError(
          fmt::format("{} on {} waited {:.1f} s without an answer from {}: a peer has died, hangs "
                      "or is too slow",
                      operation_, group_->who(), std::chrono::duration<double>(waited).count(),
                      missing_peers()));
    }
    pause_between_polls(waited);
  }
  finished_ = true;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (parts_[i].expected == kAnySize) continue;
    int found = 0;
    check_mpi(MPI_Get_count(&statuses_[i], MPI_BYTE, &found), "MPI_Get_count", group_->who());
    if (found != parts_[i].expected) {
      throw InternalError(fmt::format("{} on {}: expected {} bytes from rank {}, found {}",
                                      operation_, group_->who(), parts_[i].expected, parts_[i].peer,
                                      found));
    }
  }
}

}  // namespace sbm::distributed
