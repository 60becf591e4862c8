#pragma once

#include <exception>

namespace sbm::launch {

/// The program's exit codes, part of the contract with scripts and schedulers (docs/cli.md).
enum ExitCode : int {
  kDone = 0,
  kUsageError = 2,         ///< command line or configuration
  kDataFailure = 3,        ///< data set, shard or source file
  kCheckpointFailure = 4,  ///< checkpoint missing, damaged or of another run
  kDiverged = 5,           ///< loss or gradient not finite
  kPeerFailure = 6,        ///< a peer or a collective failed
  kInternalFailure = 70,   ///< a defect of this program
  kStopped = 75,           ///< stopped after a checkpoint: the same command goes on
};

/// The exit code that belongs to an exception of base/error.h; kInternalFailure for all others.
ExitCode exit_code_of(const std::exception& error);

}  // namespace sbm::launch
