#pragma once

#include <string>
#include <string_view>

// Files for the server of the GLUE benchmark.
namespace sbm::trainer {

/// What the server calls the file with the predictions of this split, "CoLA.tsv" and so on. Throws
/// ConfigError when it asks for none.
std::string submission_name(const std::string& task, const std::string& split);

/// The first line of each file.
inline constexpr std::string_view kSubmissionHeader = "index\tprediction\n";

/// The lines of such a file for whole lines of predict(): the sample's number and its label's name,
/// or its score with 3 decimals.
std::string submission_rows(std::string_view predictions);

}  // namespace sbm::trainer
