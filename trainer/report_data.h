#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "trainer/report.h"

namespace sbm::trainer {

/// (step, value) pairs in ascending order of the step.
using Series = std::vector<std::pair<double, double>>;

/// What a report is made of, read from a run folder. Damaged lines are left out: a report is for
/// looking at what there is.
struct ReportData {
  std::string name;           ///< of the run folder
  std::string configuration;  ///< resolved text
  std::string task;
  std::string state;   ///< of STATUS.json, "" without
  std::string reason;  ///< why the run ended
  std::int64_t step = 0;
  std::int64_t total_steps = 0;
  int layers = 0;
  int heads = 0;

  /// By field name of metrics.jsonl: loss, accuracy, learning_rate, density, tokens_per_second...
  std::map<std::string, Series> training;
  std::map<std::string, Series> validation;
  std::vector<Series> head_density;  ///< [layers * heads], training
  std::string main_metric;           ///< of the task
  double best_value = 0.0;           ///< of the main metric on the validation split
  std::int64_t best_step = -1;       ///< -1: no evaluation yet
  double peak_memory_bytes = 0.0;

  std::int64_t picture_step = -1;
  std::vector<MaskPicture> pictures;
};

/// Throws ConfigError when the folder holds no run, Error when masks.json contradicts itself.
ReportData read_report_data(const std::filesystem::path& run_directory);

}  // namespace sbm::trainer
