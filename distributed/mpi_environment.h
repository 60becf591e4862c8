#pragma once

#include <memory>

#include "distributed/communicator.h"

namespace sbm::distributed {

/// Owns MPI for the life of the process: initialises it (MPI_THREAD_FUNNELED) when the process was
/// started by mpirun or srun, finalises it at the end. One thread, the constructing one, calls MPI.
/// When an exception unwinds it, it leaves MPI as it is instead of waiting for the peers: the
/// launcher then ends them and reports this process's exit code. A rank that catches an error which
/// its peers do not share calls Communicator::abort() instead of leaving this scope in peace, or it
/// would wait for them in MPI_Finalize.
class MpiEnvironment {
 public:
  /// Throws CommunicationError when MPI cannot start, or knows another number of ranks than the
  /// launcher announced.
  MpiEnvironment();
  ~MpiEnvironment();
  MpiEnvironment(const MpiEnvironment&) = delete;
  MpiEnvironment& operator=(const MpiEnvironment&) = delete;

  /// Whether a launcher's environment is present (OMPI_COMM_WORLD_SIZE, PMI_SIZE, PMIX_RANK, ...).
  static bool launched_by_mpi();

  /// The world as a Communicator; SingleProcess when no launcher started this process.
  [[nodiscard]] std::unique_ptr<Communicator> world() const;

 private:
  bool initialised_ = false;
  int exceptions_at_start_;
};

}  // namespace sbm::distributed
