#include "launch/exit_code.h"

#include <filesystem>

#include "base/error.h"

namespace sbm::launch {

ExitCode exit_code_of(const std::exception& error) {
  if (dynamic_cast<const ConfigError*>(&error) != nullptr) return kUsageError;
  if (dynamic_cast<const DataError*>(&error) != nullptr) return kDataFailure;
  if (dynamic_cast<const CheckpointError*>(&error) != nullptr) return kCheckpointFailure;
  if (dynamic_cast<const DivergenceError*>(&error) != nullptr) return kDiverged;
  if (dynamic_cast<const CommunicationError*>(&error) != nullptr) return kPeerFailure;
  // What the floors below do not turn into an error of theirs is a path from the command line.
  if (dynamic_cast<const std::filesystem::filesystem_error*>(&error) != nullptr) return kUsageError;
  return kInternalFailure;
}

}  // namespace sbm::launch
