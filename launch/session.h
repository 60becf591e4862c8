#pragma once

#include <memory>
#include <string>

#include "distributed/communicator.h"
#include "distributed/mpi_environment.h"
#include "launch/exit_code.h"

namespace sbm::launch {

/// One run of the program as a process among its peers: owns MPI from the first command that needs
/// ranks to the end, and knows how this process must end so that all ranks end with one message.
class Session {
 public:
  Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// The ranks of this job; starts MPI at the first call when mpirun or srun started the process.
  distributed::Communicator& communicator();

  /// Whether this process is rank 0, also before MPI started (from the launcher's environment).
  [[nodiscard]] bool is_first_rank() const;

  /// Reports an error and gives the exit code. With peers it does not return: MPI is told to end
  /// all ranks with that code. Ranks other than 0 wait a moment first, because most errors happen
  /// on every rank at once and one message is enough.
  int fail(ExitCode code, const std::string& message);

 private:
  std::unique_ptr<distributed::MpiEnvironment> environment_;
  std::unique_ptr<distributed::Communicator> communicator_;
};

}  // namespace sbm::launch
