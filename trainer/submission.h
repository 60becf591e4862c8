#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"

// Files for the server of the GLUE benchmark.
namespace sbm::trainer {

/// One of the eleven files that the server takes.
struct SubmissionFile {
  std::string_view task;
  std::string_view split;
  std::string_view name;   ///< "CoLA.tsv" and so on
  std::uint64_t rows = 0;  ///< of the published test set
};

/// All of them.
const std::vector<SubmissionFile>& submission_files();

/// The file with the predictions of this split. Throws ConfigError when the server asks for none.
const SubmissionFile& submission_file(const std::string& task, const std::string& split);

/// Compares a split with the published one: the server knows rows by their number. Throws DataError
/// when rows of its source were skipped, so that later ones have other numbers; returns a warning,
/// or nothing, when the number of rows is another one.
std::string check_submission_rows(const SubmissionFile& file, const data::Dataset& dataset);

/// The first line of each file.
inline constexpr std::string_view kSubmissionHeader = "index\tprediction\n";

/// The lines of such a file for whole lines of predict(): the sample's number and its label's name,
/// or its score with 3 decimals.
std::string submission_rows(std::string_view predictions);

}  // namespace sbm::trainer
