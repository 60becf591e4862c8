#pragma once

#include <memory>

#include "distributed/communicator.h"

namespace sbm::distributed {

/// Owns MPI for the life of the process: initialises it (MPI_THREAD_FUNNELED) when the process was
/// started by mpirun or srun, finalises it at the end. One thread, the constructing one, calls MPI.
class MpiEnvironment {
 public:
  /// Throws CommunicationError when MPI cannot start.
  MpiEnvironment();
  ~MpiEnvironment();
  MpiEnvironment(const MpiEnvironment&) = delete;
  MpiEnvironment& operator=(const MpiEnvironment&) = delete;

  /// Whether a launcher's environment is present (OMPI_COMM_WORLD_SIZE, PMI_SIZE, PMIX_RANK, ...).
  static bool launched_by_mpi();

  /// The world as a Communicator; SingleProcess when no launcher started this process.
  std::unique_ptr<Communicator> world();

 private:
  bool initialised_ = false;
};

}  // namespace sbm::distributed
