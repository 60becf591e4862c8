#include "trainer/trainer_state.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace sbm::trainer {

std::string to_json(const TrainerState& state) {
  nlohmann::json json = {
      {"step", state.step},
      {"position", state.position},
      {"seed", state.seed},
      {"schedule", state.schedule},
      {"best",
       {{"step", state.best_step}, {"value", state.best_value}, {"metric", state.best_metric}}},
      {"evaluations_without_improvement", state.evaluations_without_improvement},
      {"last_metrics", state.last_metrics},
      {"label_names", state.label_names},
  };
  if (state.vocabulary) json["vocabulary"] = *state.vocabulary;
  return json.dump(2) + "\n";
}

TrainerState trainer_state_from_json(const std::string& text) {
  TrainerState state;
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    json.at("step").get_to(state.step);
    json.at("position").get_to(state.position);
    json.at("seed").get_to(state.seed);
    json.at("schedule").get_to(state.schedule);
    json.at("best").at("step").get_to(state.best_step);
    json.at("best").at("value").get_to(state.best_value);
    json.at("best").at("metric").get_to(state.best_metric);
    json.at("evaluations_without_improvement").get_to(state.evaluations_without_improvement);
    json.at("last_metrics").get_to(state.last_metrics);
    if (json.contains("label_names")) json.at("label_names").get_to(state.label_names);
    if (json.contains("vocabulary")) {
      state.vocabulary = json.at("vocabulary").get<std::string>();
    }
  } catch (const nlohmann::json::exception& error) {
    throw CheckpointError(
        std::string("trainer_state.json: expected the state of a training run, found: ") +
        error.what());
  }
  if (state.step < 0 || state.position < 0) {
    throw CheckpointError(
        "trainer_state.json: step and position must not be negative, found step " +
        std::to_string(state.step) + ", position " + std::to_string(state.position));
  }
  return state;
}

}  // namespace sbm::trainer
