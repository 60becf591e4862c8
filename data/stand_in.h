#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace sbm::data {

/// How much of a stand-in is written.
struct StandInLimits {
  std::uint64_t tokens = std::uint64_t{1} << 26;  ///< at most, but at least one sample
  std::int64_t longest = 0;                       ///< tokens of a sample at most; 0: as published
};

/// Writes a split "train" of random tokens into `folder`, which exists and is empty, that is like
/// the task's published data in what a loader's speed depends on: number of samples, vocabulary,
/// width of the tokens, labels, parts, and lengths, drawn as least + (most - least) u^p with the p
/// that gives the mean. For measuring alone: there is nothing to learn in it. Returns the samples.
/// Throws ConfigError for a task that has none, DataError when the disk fails.
std::uint64_t write_stand_in(const std::filesystem::path& folder, const std::string& task,
                             const StandInLimits& limits);

}  // namespace sbm::data
