#include "trainer/trial_folder.h"

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <system_error>
#include <thread>

#include "base/error.h"
#include "trainer/run_folder.h"

namespace sbm::trainer {

TrialFolder::TrialFolder(const std::filesystem::path& run_directory)
    : target_(plain_path(std::filesystem::absolute(run_directory)).string() + ".dry-run") {}

TrialFolder::~TrialFolder() { remove(); }

std::filesystem::path TrialFolder::make(distributed::Communicator& communicator) {
  std::string problem;
  std::string path;
  if (communicator.rank() == 0) {
    try {
      make_here();
      path = folder_->path().string();
    } catch (const DataError& error) {
      problem = fmt::format("{}; name another run folder with --run-dir", error.what());
    }
  }
  problem = distributed::broadcast_string(communicator, problem, 0);
  if (!problem.empty()) throw ConfigError(problem);
  return distributed::broadcast_string(communicator, path, 0);
}

void TrialFolder::make_here() {
  const std::lock_guard lock(mutex_);
  if (removed_) throw DataError(target_.string() + ": this process is ending");
  std::error_code ignored;
  for (std::filesystem::path parent = target_.parent_path();
       parent.has_relative_path() && !std::filesystem::exists(parent, ignored);
       parent = parent.parent_path()) {
    new_parents_.push_back(parent);
  }
  folder_.emplace(target_);
}

bool TrialFolder::remove() {
  const std::lock_guard lock(mutex_);
  removed_ = true;
  std::error_code error;
  // A thread that still computes may make another file between a folder's listing and its removal.
  for (int attempt = 0; folder_ && attempt < 100; ++attempt) {
    std::filesystem::remove_all(folder_->path(), error);
    if (!error) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const bool removed = !error;
  // Also those of a folder that could not be made itself. One that others use by now stays.
  for (const std::filesystem::path& parent : new_parents_) std::filesystem::remove(parent, error);
  new_parents_.clear();
  return removed;
}

}  // namespace sbm::trainer
