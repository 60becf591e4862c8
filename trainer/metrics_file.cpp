#include "trainer/metrics_file.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>

#include "base/error.h"

namespace sbm::trainer {
namespace {

Error cannot(const std::filesystem::path& path, const char* what) {
  return Error(path.string() + ": cannot be " + what + ": " + std::strerror(errno));
}

// Keeps the lines up to `resume_step`; a torn last line (killed while writing) goes too.
void drop_later_lines(const std::filesystem::path& path, std::int64_t resume_step) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return;
  const std::filesystem::path temporary = path.string() + ".tmp";
  std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
  std::string line;
  while (std::getline(in, line)) {
    const nlohmann::json json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer()) continue;
    if (json["step"].get<std::int64_t>() <= resume_step) out << line << "\n";
  }
  out.flush();
  if (!out) throw cannot(temporary, "written");
  std::error_code error;
  std::filesystem::rename(temporary, path, error);
  if (error) throw Error(path.string() + ": cannot be replaced: " + error.message());
}

}  // namespace

MetricsFile::MetricsFile(const std::filesystem::path& path, std::int64_t resume_step)
    : path_(path) {
  drop_later_lines(path, resume_step);
  out_.open(path, std::ios::binary | std::ios::app);
  if (!out_) throw cannot(path, "opened");
}

void MetricsFile::step(const StepRecord& record) {
  write(nlohmann::json{{"step", record.step},
                       {"epoch", record.epoch},
                       {"loss", record.loss},
                       {"accuracy", record.accuracy},
                       {"learning_rate", record.learning_rate},
                       {"gradient_norm", record.gradient_norm},
                       {"density", record.density},
                       {"density_with_self_loops", record.density_with_self_loops},
                       {"head_density", record.head_density},
                       {"tokens_per_second", record.tokens_per_second},
                       {"step_seconds", record.step_seconds},
                       {"peak_memory_bytes", record.peak_memory_bytes}}
            .dump());
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

void MetricsFile::write(const std::string& line) {
  out_ << line << "\n" << std::flush;
  if (!out_) throw cannot(path_, "written");
}

}  // namespace sbm::trainer
