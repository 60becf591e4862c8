#include "trainer/submission.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace sbm::trainer {
namespace {

/// Scores of STS-B go from 0 to 5.
constexpr double kMostScore = 5.0;

struct File {
  std::string_view task;
  std::string_view split;
  std::string_view name;
};
constexpr std::array<File, 11> kFiles = {{
    {"glue/cola", "test", "CoLA.tsv"},
    {"glue/sst-2", "test", "SST-2.tsv"},
    {"glue/mrpc", "test", "MRPC.tsv"},
    {"glue/qqp", "test", "QQP.tsv"},
    {"glue/sts-b", "test", "STS-B.tsv"},
    {"glue/mnli", "test", "MNLI-m.tsv"},
    {"glue/mnli", "test_mismatched", "MNLI-mm.tsv"},
    {"glue/qnli", "test", "QNLI.tsv"},
    {"glue/rte", "test", "RTE.tsv"},
    {"glue/wnli", "test", "WNLI.tsv"},
    {"glue/ax", "test", "AX.tsv"},
}};

}  // namespace

std::string submission_name(const std::string& task, const std::string& split) {
  for (const File& file : kFiles) {
    if (file.task == task && file.split == split) return std::string(file.name);
  }
  throw ConfigError(fmt::format("--submission: expected a test split of GLUE, found split {} of {}",
                                split, task));
}

std::string submission_rows(std::string_view predictions) {
  std::string rows;
  while (!predictions.empty()) {
    const std::size_t end = predictions.find('\n');
    const nlohmann::json line = nlohmann::json::parse(predictions.substr(0, end));
    predictions.remove_prefix(end == std::string_view::npos ? predictions.size() : end + 1);
    const nlohmann::json& value = line.at("prediction");
    const std::string text =
        value.is_string() ? value.get<std::string>()
                          : fmt::format("{:.3f}", std::clamp(value.get<double>(), 0.0, kMostScore));
    fmt::format_to(std::back_inserter(rows), "{}\t{}\n", line.at("sample").get<std::uint64_t>(),
                   text);
  }
  return rows;
}

}  // namespace sbm::trainer
