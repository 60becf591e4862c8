#include "trainer/submission.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "data/glue_tasks.h"

namespace sbm::trainer {
namespace {

std::string_view source_name(const SubmissionFile& file) {
  for (const data::GlueTask& task : data::glue_tasks()) {
    if (task.name != file.task) continue;
    for (const data::GlueFile& source : task.files) {
      if (source.split == file.split) return source.name;
    }
  }
  throw InternalError(fmt::format("no source of {}", file.name));
}

}  // namespace

const std::vector<SubmissionFile>& submission_files() {
  static const std::vector<SubmissionFile> files = {
      {"glue/cola", "test", "CoLA.tsv", 1063},
      {"glue/sst-2", "test", "SST-2.tsv", 1821},
      {"glue/mrpc", "test", "MRPC.tsv", 1725},
      {"glue/sts-b", "test", "STS-B.tsv", 1379},
      {"glue/qqp", "test", "QQP.tsv", 390965},
      {"glue/mnli", "test", "MNLI-m.tsv", 9796},
      {"glue/mnli", "test_mismatched", "MNLI-mm.tsv", 9847},
      {"glue/qnli", "test", "QNLI.tsv", 5463},
      {"glue/rte", "test", "RTE.tsv", 3000},
      {"glue/wnli", "test", "WNLI.tsv", 146},
      {"glue/ax", "test", "AX.tsv", 1104},
  };
  return files;
}

const SubmissionFile& submission_file(const std::string& task, const std::string& split) {
  for (const SubmissionFile& file : submission_files()) {
    if (file.task == task && file.split == split) return file;
  }
  throw ConfigError(fmt::format("--submission: expected a test split of GLUE, found split {} of {}",
                                split, task));
}

std::string check_submission_rows(const SubmissionFile& file, const data::Dataset& dataset) {
  const std::string_view source = source_name(file);
  // A test file without labels keeps an empty sample at the place of a row that cannot be used.
  const bool closes_gaps = dataset.label_kind() != data::LabelKind::kNone;
  for (const data::SkippedRow& row : dataset.skipped()) {
    if (!closes_gaps || row.file != source) continue;
    throw DataError(
        fmt::format("{}: expected every row of the test file, found that its line {} was skipped "
                    "({}): the rows after it have other numbers; build the data anew without the "
                    "file of labels",
                    file.name, row.line, row.reason));
  }
  if (dataset.size() == file.rows) return {};
  return fmt::format(
      "{}: expected {} rows, as many as the published test set has, found {}: the server will "
      "refuse it",
      file.name, file.rows, dataset.size());
}

std::string submission_rows(std::string_view predictions) {
  std::string rows;
  while (!predictions.empty()) {
    const std::size_t end = predictions.find('\n');
    const nlohmann::json line = nlohmann::json::parse(predictions.substr(0, end));
    predictions.remove_prefix(end == std::string_view::npos ? predictions.size() : end + 1);
    const nlohmann::json& value = line.at("prediction");
    const std::string text = value.is_string()
                                 ? value.get<std::string>()
                                 : fmt::format("{:.3f}", std::clamp(value.get<double>(), 0.0,
                                                                    double{data::kMaxGlueScore}));
    fmt::format_to(std::back_inserter(rows), "{}\t{}\n", line.at("sample").get<std::uint64_t>(),
                   text);
  }
  return rows;
}

}  // namespace sbm::trainer
