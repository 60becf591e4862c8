#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <vector>

#include "data/build_folder.h"
#include "distributed/communicator.h"

namespace sbm::trainer {

/// A folder for a run that nobody keeps, beside the real run's, so that the disk that is tried is
/// the disk that will be used. It and the parents that were made for it go at the end; what a
/// killed process left goes when the next one tries the same run on the same host.
class TrialFolder {
 public:
  /// Touches nothing yet.
  explicit TrialFolder(const std::filesystem::path& run_directory);
  ~TrialFolder();
  TrialFolder(const TrialFolder&) = delete;
  TrialFolder& operator=(const TrialFolder&) = delete;

  /// Collective. Rank 0 makes the folder; returns its path on every rank. Throws ConfigError on
  /// every rank when it cannot.
  std::filesystem::path make(distributed::Communicator& communicator);

  /// Removes what make() made on this rank, also while others still write into it. From any
  /// thread; nothing is made after it. False when something stays.
  bool remove();

 private:
  void make_here();

  std::filesystem::path target_;
  std::mutex mutex_;
  bool removed_ = false;
  std::optional<data::BuildFolder> folder_;
  std::vector<std::filesystem::path> new_parents_;  ///< innermost first
};

}  // namespace sbm::trainer
