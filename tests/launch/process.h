#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/temporary_folder.h"

namespace sbm::launch {

/// A child process with both outputs in files, killed with its whole process group when the object
/// goes: a failing test leaves nothing behind.
class Process {
 public:
  explicit Process(const std::vector<std::string>& command);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// The exit code; 128 + the signal when one ended it. Fails the test and kills after `limit`.
  int wait(std::chrono::seconds limit = std::chrono::seconds(120));
  [[nodiscard]] bool running();
  void signal(int number) const;
  /// Waits until a file exists or the process ends; false when it does not come within `limit`.
  bool wait_for(const std::filesystem::path& path, std::chrono::seconds limit);
  /// Process ids of the ranks: the grandchildren when the child is mpirun.
  [[nodiscard]] std::vector<pid_t> ranks() const;

  [[nodiscard]] std::string out() const;
  [[nodiscard]] std::string err() const;

 private:
  TemporaryFolder outputs_;
  pid_t pid_ = -1;
  int code_ = -1;
};

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

/// Runs to the end.
Outcome run(const std::vector<std::string>& command);

}  // namespace sbm::launch
