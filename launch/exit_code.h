#pragma once

#include <exception>

namespace sbm::launch {

/// The program's exit codes, part of the contract with scripts and schedulers (docs/cli.md).
enum ExitCode : int {
  kDone = 0,
  kUsageError = 2,         ///< command line or configuration; a run folder or output that fails
  kDataFailure = 3,        ///< data set, shard or source file, its disk included
  kCheckpointFailure = 4,  ///< checkpoint missing, damaged or of another run; its disk
  kDiverged = 5,           ///< loss or gradient not finite
  kPeerFailure = 6,        ///< a peer or a collective failed
  kInternalFailure = 70,   ///< a defect of this program
  kStopped = 75,           ///< stopped in good order: the same command goes on
};

/// The exit code that belongs to an exception of base/error.h; kUsageError for a
/// std::filesystem::filesystem_error, kInternalFailure for all others.
ExitCode exit_code_of(const std::exception& error);

}  // namespace sbm::launch
