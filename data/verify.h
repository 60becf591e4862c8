#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

// What `sbm data verify` does.
namespace sbm::data {

struct VerifyReport {
  std::uint64_t files = 0;    ///< index files and shards that were read
  std::uint64_t bytes = 0;    ///< of these files
  std::uint64_t samples = 0;  ///< samples that were read, in all splits
  /// Everything that is wrong, each with the file, what was expected and what was found.
  std::vector<std::string> problems;
};

/// Reads every byte and every sample of a data set folder, goes on after a problem, and reports
/// them all: damaged, missing, contradicting and superfluous files. Throws only when the system
/// fails.
VerifyReport verify_dataset(const std::filesystem::path& folder);

}  // namespace sbm::data
