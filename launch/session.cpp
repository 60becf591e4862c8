#include "launch/session.h"

#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "launch/bus_error.h"

namespace sbm::launch {
namespace {

// Long enough for rank 0 to print and for MPI to end the others, short enough not to be felt.
constexpr std::chrono::milliseconds kLaterRanksWait{1500};

}  // namespace

distributed::Communicator& Session::communicator() {
  if (!communicator_) {
    environment_ = std::make_unique<distributed::MpiEnvironment>();
    communicator_ = environment_->world();
    name_this_process("rank " + std::to_string(communicator_->rank()) + " on " +
                      communicator_->host());
  }
  return *communicator_;
}

bool Session::is_first_rank() const {
  if (communicator_) return communicator_->rank() == 0;
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"}) {
    if (const char* value = std::getenv(name);
        value != nullptr && distributed::MpiEnvironment::launched_by_mpi()) {
      return std::string(value) == "0";
    }
  }
  return true;
}

int Session::fail(ExitCode code, const std::string& message) {
  const bool has_peers = communicator_ && communicator_->world_size() > 1;
  if (!is_first_rank()) std::this_thread::sleep_for(kLaterRanksWait);
  std::string line = "sbm: " + message + "\n";
  if (has_peers && communicator_->rank() != 0) {
    line = "sbm: rank " + std::to_string(communicator_->rank()) + " on " + communicator_->host() +
           ": " + message + "\n";
  }
  std::cerr << line << std::flush;
  if (has_peers) communicator_->abort(code);
  return code;
}

}  // namespace sbm::launch
