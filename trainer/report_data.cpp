#include "trainer/report_data.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>

#include "base/error.h"
#include "trainer/config.h"
#include "trainer/output_file.h"
#include "trainer/task_metrics.h"

namespace sbm::trainer {
namespace {

using nlohmann::json;

// No picture is larger than this; a file that says so is not ours.
constexpr std::int64_t kLargestPicture = 1024;
constexpr std::size_t kMostPictures = 4096;

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return in ? text.str() : std::string();
}

std::string text_field(const json& object, const char* field) {
  const bool there = object.is_object() && object.contains(field) && object[field].is_string();
  return there ? object[field].get<std::string>() : std::string();
}

void add_number(Series& series, double step, const json& line, const char* field) {
  if (!line.contains(field) || !line[field].is_number()) return;
  const auto value = line[field].get<double>();
  if (std::isfinite(value)) series.emplace_back(step, value);
}

void read_training_line(const json& line, double step, ReportData& data) {
  for (const char* field : {"loss", "accuracy", "learning_rate", "density", "tokens_per_second",
                            "step_seconds", "gradient_norm"}) {
    add_number(data.training[field], step, line, field);
  }
  if (line.contains("peak_memory_bytes") && line["peak_memory_bytes"].is_number()) {
    data.peak_memory_bytes =
        std::max(data.peak_memory_bytes, line["peak_memory_bytes"].get<double>());
  }
  if (!line.contains("head_density") || !line["head_density"].is_array()) return;
  const json& densities = line["head_density"];
  if (densities.size() != data.head_density.size()) return;
  for (std::size_t i = 0; i < densities.size(); ++i) {
    if (densities[i].is_number())
      data.head_density[i].emplace_back(step, densities[i].get<double>());
  }
}

void read_evaluation_line(const json& line, double step, ReportData& data) {
  if (!line["split"].is_string() || line["split"] != "validation") return;
  add_number(data.validation["loss"], step, line, "loss");
  add_number(data.validation["density"], step, line, "density");
  if (!line.contains("metrics") || !line["metrics"].is_object()) return;
  for (const std::string& metric : task_metrics(data.task)) {
    add_number(data.validation[metric], step, line["metrics"], metric.c_str());
  }
  const Series& judged = data.validation[data.main_metric];
  if (judged.empty()) return;
  if (data.best_step < 0 || judged.back().second > data.best_value) {
    data.best_value = judged.back().second;
    data.best_step = static_cast<std::int64_t>(judged.back().first);
  }
}

void read_metrics(const std::filesystem::path& path, ReportData& data) {
  std::ifstream in(path, std::ios::binary);
  std::string text;
  while (std::getline(in, text)) {
    const json line = json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!line.is_object() || !line.contains("step") || !line["step"].is_number_integer()) continue;
    const auto step = line["step"].get<double>();
    data.step = std::max(data.step, line["step"].get<std::int64_t>());
    if (line.contains("split")) {
      read_evaluation_line(line, step, data);
    } else {
      read_training_line(line, step, data);
    }
  }
}

MaskPicture read_picture(const json& entry, const std::string& where) {
  MaskPicture picture;
  entry.at("layer").get_to(picture.layer);
  entry.at("head").get_to(picture.head);
  entry.at("tokens").get_to(picture.tokens);
  entry.at("probability").get_to(picture.probability);
  entry.at("mask").get_to(picture.mask);
  if (picture.tokens < 1 || picture.tokens > kLargestPicture) {
    throw ConfigError(where + ": expected 1 to " + std::to_string(kLargestPicture) +
                      " tokens a picture, found " + std::to_string(picture.tokens));
  }
  const auto cells = static_cast<std::size_t>(picture.tokens * picture.tokens);
  if (picture.probability.size() != cells || picture.mask.size() != cells) {
    throw ConfigError(where + ": expected " + std::to_string(cells) + " cells a picture, found " +
                      std::to_string(picture.probability.size()) + " probabilities and " +
                      std::to_string(picture.mask.size()) + " mask cells");
  }
  return picture;
}

void read_pictures(const std::filesystem::path& path, ReportData& data) {
  const std::string text = read_file(path);
  if (text.empty()) return;
  try {
    const json file = json::parse(text);
    file.at("step").get_to(data.picture_step);
    if (file.at("pictures").size() > kMostPictures) {
      throw ConfigError(path.string() + ": expected at most " + std::to_string(kMostPictures) +
                        " pictures, found " + std::to_string(file["pictures"].size()));
    }
    for (const json& entry : file["pictures"]) {
      data.pictures.push_back(read_picture(entry, path.string()));
    }
  } catch (const json::exception& error) {
    throw ConfigError(path.string() + ": expected mask pictures, found: " + error.what());
  }
}

}  // namespace

void save_mask_pictures(const std::filesystem::path& run_directory, std::int64_t step,
                        const std::vector<MaskPicture>& pictures) {
  json all = json::array();
  for (const MaskPicture& picture : pictures) {
    all.push_back({{"layer", picture.layer},
                   {"head", picture.head},
                   {"tokens", picture.tokens},
                   {"probability", picture.probability},
                   {"mask", picture.mask}});
  }
  replace_file(run_directory / "masks.json",
               json{{"step", step}, {"pictures", std::move(all)}}.dump() + "\n");
}

ReportData read_report_data(const std::filesystem::path& run_directory) {
  const std::filesystem::path configuration = run_directory / "config.textproto";
  std::error_code error;
  if (!std::filesystem::exists(configuration, error)) {
    throw ConfigError(run_directory.string() +
                      ": expected a run folder with config.textproto, found none");
  }
  ReportData data;
  const auto absolute = std::filesystem::absolute(run_directory).lexically_normal();
  data.name = (absolute.has_filename() ? absolute : absolute.parent_path()).filename().string();
  data.configuration = read_file(configuration);
  const Config config = parse_config(data.configuration, configuration.string());
  data.task = config.task().name();
  data.main_metric = task_metrics(data.task).front();
  data.total_steps = config.training().steps();
  data.layers = config.model().layers();
  data.heads = config.model().heads();
  data.head_density.resize(static_cast<std::size_t>(data.layers) *
                           static_cast<std::size_t>(data.heads));
  const json status = json::parse(read_file(run_directory / "STATUS.json"), nullptr, false);
  data.state = text_field(status, "state");
  data.reason = text_field(status, "detail");
  read_metrics(run_directory / "metrics.jsonl", data);
  read_pictures(run_directory / "masks.json", data);
  return data;
}

}  // namespace sbm::trainer
