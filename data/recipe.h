#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sbm::data {

/// A file that samples were read from.
struct SourceDescription {
  std::string name{};
  std::uint64_t bytes = 0;
  std::string xxh3_128{};  ///< hexadecimal
  friend bool operator==(const SourceDescription&, const SourceDescription&) = default;
};

/// What the samples of a data set follow from: equal recipes make equal samples.
struct DatasetRecipe {
  std::string task{};
  std::string generator{};  ///< algorithm and version
  std::vector<std::pair<std::string, std::string>> parameters{};
  std::vector<SourceDescription> sources{};
  friend bool operator==(const DatasetRecipe&, const DatasetRecipe&) = default;
};

/// A row of a source file that was skipped because it was unusable.
struct SkippedRow {
  std::string file{};      ///< relative to the source folder
  std::uint64_t line = 0;  ///< from 1; 0: the whole file
  std::string reason{};
  friend bool operator==(const SkippedRow&, const SkippedRow&) = default;
};

}  // namespace sbm::data
