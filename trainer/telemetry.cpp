#include "trainer/telemetry.h"

#include <fmt/format.h>

#include <utility>

#include "trainer/event_file.h"
#include "trainer/metrics_file.h"
#include "trainer/progress.h"

namespace sbm::trainer {

struct Telemetry::State {
  explicit State(const Options& options)
      : options(options),
        metrics(options.run_directory / "metrics.jsonl", options.resume_step),
        events(options.run_directory, options.resume_step),
        progress(options.progress, options.total_steps) {}

  using Scalars = std::vector<std::pair<std::string, double>>;

  void add_head_densities(Scalars& scalars, const std::string& prefix,
                          const std::vector<double>& densities) const {
    for (std::size_t i = 0; i < densities.size(); ++i) {
      const auto heads = static_cast<std::size_t>(options.heads);
      scalars.emplace_back(fmt::format("{}/layer{}_head{}", prefix, i / heads, i % heads),
                           densities[i]);
    }
  }

  Options options;
  MetricsFile metrics;
  EventFile events;
  Progress progress;
};

Telemetry::Telemetry(const Options& options) : state_(std::make_unique<State>(options)) {}

Telemetry::~Telemetry() { close(); }

void Telemetry::step(const StepRecord& record) {
  state_->metrics.step(record);
  State::Scalars scalars = {{"train/loss", record.loss},
                            {"train/learning_rate", record.learning_rate},
                            {"train/gradient_norm", record.gradient_norm},
                            {"train/density", record.density},
                            {"speed/tokens_per_second", record.tokens_per_second},
                            {"speed/padding", record.padding},
                            {"speed/step_seconds", record.step_seconds}};
  if (record.accuracy) scalars.emplace_back("train/accuracy", *record.accuracy);
  state_->add_head_densities(scalars, "train_density", record.head_density);
  state_->events.scalars(record.step, scalars);
  state_->progress.step(record);
}

void Telemetry::evaluation(const EvaluationRecord& record) {
  state_->metrics.evaluation(record);
  State::Scalars scalars = {{record.split + "/loss", record.loss},
                            {record.split + "/density", record.density}};
  for (const auto& [name, value] : record.metrics) {
    scalars.emplace_back(record.split + "/" + name, value);
  }
  state_->add_head_densities(scalars, record.split + "_density", record.head_density);
  state_->events.scalars(record.step, scalars);
  state_->progress.evaluation(record);
}

void Telemetry::tick(std::int64_t step, double step_seconds) {
  state_->progress.tick(step, step_seconds);
}

void Telemetry::message(const std::string& text) { state_->progress.message(text); }

void Telemetry::close() { state_->progress.close(); }

}  // namespace sbm::trainer
