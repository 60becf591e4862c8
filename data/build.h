#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/dataset_writer.h"
#include "data/listops_generator.h"
#include "data/pathfinder_parameters.h"
#include "data/recipe.h"
#include "data/repeated_tokens.h"

// What `sbm data build` does: a data set folder from a generator or from published files.
namespace sbm::data {

/// Limit of BuildRequest::max_length.
constexpr std::int64_t kMaxBuildLength = std::int64_t{1} << 20;
/// Limit of BuildRequest::skip_bad_rows: the skipped rows are listed in the index.
constexpr std::int64_t kMaxSkippedRows = 100000;

/// Parameters of lra/text.
struct TextParameters {
  /// Share of the training texts that is held out for validation, keyed by seed and content.
  double validation_share = 0.1;
  /// As published: the validation split is the test set, nothing is held out. Choosing a checkpoint
  /// on it chooses on the test set.
  bool validation_is_test = false;
};

/// Parameters of pretrain/mlm.
struct MaskedLanguageParameters {
  /// Share of the documents that is held out for validation, 0 to 0.9.
  double validation_share = 0.01;
  /// Share of the samples that are filled to a length drawn between 2 tokens and the whole only, 0
  /// to 1: the published code packs one in ten short, so that a model meets short texts, too.
  double short_share = 0.1;
};

/// Which data set, and where. Only the parameters of the named task are looked at; an option that
/// the task does not take is refused.
struct BuildRequest {
  std::string task{};           ///< one of buildable_tasks()
  std::filesystem::path out{};  ///< folder to make; its parents are made too
  /// Folder of the published files. Empty: generate, for tasks with a published algorithm.
  std::filesystem::path source{};
  /// Tokens kept of a sample, and of each document of a sample with two. 0: what the task says.
  std::int64_t max_length = 0;
  /// WordPiece vocabulary, for tasks of words.
  std::filesystem::path vocabulary{};
  bool lower_case = true;  ///< whether the vocabulary is an uncased one
  /// So many unusable rows of the source files are skipped and listed; one more is an error.
  std::int64_t skip_bad_rows = 0;
  std::uint64_t seed = 0;  ///< of what is drawn, e.g. which samples are held out
  ListOpsParameters listops;
  RepeatedTokensParameters repeated_tokens;
  TextParameters text;
  PathfinderParameters pathfinder;  ///< of released images only the level
  MaskedLanguageParameters masked_language;
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
  std::vector<SkippedRow> skipped{};  ///< rows of source files that were unusable
  std::vector<std::string> notes{};   ///< what users should know of the source files
};

/// The names that BuildRequest::task may have.
std::vector<std::string> buildable_tasks();

/// Whether the task's samples can be generated. False, too, for a task that is not known.
bool is_generated(const std::string& task);

/// A folder name that tells data sets apart, e.g. "lra-listops-0123456789abcdef": the task and a
/// hash of everything that the samples follow from. Throws as build_dataset().
std::string default_folder_name(const BuildRequest& request);

/// Builds the data set in a hidden folder beside `out` and renames it when it is complete and on
/// disk, so an interrupted build leaves no data set; two processes may build the same at once.
/// `progress` is called from this thread now and then, and may throw to give up.
/// Throws ConfigError on an unknown task, foreign options, unusable parameters, or an `out` that is
/// neither empty nor the same data set; DataError on a bad source file, a damaged data set in
/// `out`, or a full disk.
BuildReport build_dataset(const BuildRequest& request,
                          const std::function<void(const BuildProgress&)>& progress = {});

}  // namespace sbm::data
