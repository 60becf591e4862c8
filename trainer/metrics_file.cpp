#include "trainer/metrics_file.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace sbm::trainer {
namespace {

// Keeps the lines up to `resume_step`; a torn last line (killed while writing) goes too.
void drop_later_lines(const std::filesystem::path& path, std::int64_t resume_step) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return;
  OutputFile out(path);
  constexpr std::size_t kEnoughToWrite = std::size_t{1} << 20;
  std::string kept;
  std::string line;
  while (std::getline(in, line)) {
    const nlohmann::json json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer()) continue;
    if (json["step"].get<std::int64_t>() <= resume_step) kept += line + "\n";
    if (kept.size() < kEnoughToWrite) continue;
    out.write(kept);
    kept.clear();
  }
  out.write(kept);
  out.commit();
}

// The path, once what a resumed run repeats is gone from the file.
std::filesystem::path prepared(const std::filesystem::path& path, std::int64_t resume_step) {
  drop_later_lines(path, resume_step);
  return path;
}

}  // namespace

MetricsFile::MetricsFile(const std::filesystem::path& path, std::int64_t resume_step)
    : file_(prepared(path, resume_step)) {}

void MetricsFile::step(const StepRecord& record) {
  nlohmann::json line = {{"step", record.step},
                         {"epoch", record.epoch},
                         {"loss", record.loss},
                         {"learning_rate", record.learning_rate},
                         {"gradient_norm", record.gradient_norm},
                         {"density", record.density},
                         {"density_with_self_loops", record.density_with_self_loops},
                         {"head_density", record.head_density},
                         {"tokens_per_second", record.tokens_per_second},
                         {"padding", record.padding},
                         {"step_seconds", record.step_seconds},
                         {"peak_memory_bytes", record.peak_memory_bytes}};
  if (record.accuracy) line["accuracy"] = *record.accuracy;
  write(line.dump());
}

void MetricsFile::evaluation(const EvaluationRecord& record) {
  write(nlohmann::json{{"step", record.step},
                       {"split", record.split},
                       {"samples", record.samples},
                       {"loss", record.loss},
                       {"metrics", record.metrics},
                       {"density", record.density},
                       {"density_with_self_loops", record.density_with_self_loops},
                       {"head_density", record.head_density},
                       {"best", record.best}}
            .dump());
}

void MetricsFile::write(const std::string& line) { file_.append(line + "\n"); }

}  // namespace sbm::trainer
