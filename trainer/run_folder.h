#pragma once

#include <filesystem>
#include <string>

#include "distributed/communicator.h"

namespace sbm::trainer {

/// The same place without "." and ".." and a slash at the end, so that parent_path() is its parent.
std::filesystem::path plain_path(const std::filesystem::path& path);

/// The folder of one run: config.textproto, metrics.jsonl, event files, logs/, checkpoints/,
/// masks.json, STATUS.json and report.html.
class RunFolder {
 public:
  explicit RunFolder(const std::filesystem::path& path) : path_(plain_path(path)) {}

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path configuration() const { return path_ / "config.textproto"; }
  [[nodiscard]] std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  [[nodiscard]] std::filesystem::path logs() const { return path_ / "logs"; }

  /// Collective. Rank 0 makes the folder and its sub-folders; throws ConfigError when it cannot.
  void create(distributed::Communicator& communicator) const;
  /// Replaces config.textproto, whole or not at all, also across a crash. Throws ConfigError when
  /// it cannot.
  void write_configuration(const std::string& resolved_text) const;
  /// Replaces STATUS.json: what the run is doing or why it ended, for people and launchers, since
  /// mpirun's own exit code says nothing after a SIGTERM. As write_configuration().
  void write_status(const std::string& state, std::int64_t step, const std::string& detail) const;

 private:
  std::filesystem::path path_;
};

/// Collective. A name that no other start of a run has had: time, pid and random bits of rank 0.
std::string make_run_id(distributed::Communicator& communicator);

}  // namespace sbm::trainer
