#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/dataset_writer.h"
#include "data/listops_generator.h"
#include "data/repeated_tokens.h"

// What `sbm data build` does: a data set folder from a generator or from published files.
namespace sbm::data {

/// Which data set, and where. Only the parameters of the named task are looked at.
struct BuildRequest {
  std::string task;           ///< one of buildable_tasks()
  std::filesystem::path out;  ///< folder to make; its parents are made too
  /// lra/listops only: folder of the published basic_train.tsv, basic_val.tsv and basic_test.tsv.
  /// Empty: generate by the published algorithm.
  std::filesystem::path source;
  ListOpsParameters listops;
  RepeatedTokensParameters repeated_tokens;
  int threads = 0;  ///< 0: as many as the machine has processors; never changes the result
  std::uint64_t shard_bytes = kDefaultShardBytes;
};

struct BuildProgress {
  std::uint64_t samples = 0;
  std::uint64_t total = 0;  ///< 0 when it is not known beforehand
};

struct BuildReport {
  std::filesystem::path folder{};
  bool reused = false;  ///< the folder held this very data set already; nothing was written
  std::string fingerprint{};
  struct SplitReport {
    std::string name{};
    std::uint64_t samples = 0;
    std::uint64_t bytes = 0;
  };
  std::vector<SplitReport> splits{};
};

/// The names that BuildRequest::task may have.
std::vector<std::string> buildable_tasks();

/// A folder name that tells data sets apart, e.g. "lra-listops-0123456789abcdef": the task and a
/// hash of everything that the samples follow from. Throws as build_dataset().
std::string default_folder_name(const BuildRequest& request);

/// Builds the data set in a hidden folder beside `out` and renames it when it is complete and on
/// disk, so an interrupted build leaves no data set; two processes may build the same at once.
/// `progress` is called from this thread now and then, and may throw to give up.
/// Throws ConfigError on an unknown task, unusable parameters, or an `out` that is neither empty
/// nor the same data set; DataError on a bad source file, a damaged data set in `out`, or a full
/// disk.
BuildReport build_dataset(const BuildRequest& request,
                          const std::function<void(const BuildProgress&)>& progress = {});

}  // namespace sbm::data
