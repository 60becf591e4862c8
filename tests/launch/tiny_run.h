#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/launch/process.h"

namespace sbm::launch {

/// A model and a data set small enough that a test starts the program dozens of times: two layers,
/// 400 short ListOps samples, four micro-batches a step (so up to four ranks), one thread a rank.
class TinyRun {
 public:
  /// `folder` gets the configuration; runs and generated data go below it.
  explicit TinyRun(const std::filesystem::path& folder);

  /// The program under mpirun with `ranks` processes; 0: alone, without mpirun.
  [[nodiscard]] std::vector<std::string> train(int ranks, const std::string& run_name,
                                               const std::vector<std::string>& more = {}) const;
  [[nodiscard]] std::filesystem::path run_folder(const std::string& run_name) const;
  [[nodiscard]] std::filesystem::path checkpoint(const std::string& run_name, int step) const;
  [[nodiscard]] const std::filesystem::path& configuration() const { return configuration_; }

 private:
  std::filesystem::path folder_;
  std::filesystem::path configuration_;
};

/// mpirun and what it needs to start `ranks` processes here, also as root and on few processors.
std::vector<std::string> mpirun(int ranks);

/// Bytes of every file of a checkpoint that has the promise of equal bytes, by name.
std::map<std::string, std::string> promised_bytes(const std::filesystem::path& checkpoint);

/// Changes one byte of a file.
void flip_byte(const std::filesystem::path& file, std::uintmax_t offset);

}  // namespace sbm::launch
