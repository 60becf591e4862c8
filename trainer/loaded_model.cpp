#include "trainer/loaded_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iterator>

#include "base/error.h"
#include "distributed/checkpoint/checkpoint.h"
#include "trainer/model_shape.h"
#include "trainer/named_checkpoint.h"
#include "trainer/task_data.h"
#include "trainer/trainer_state.h"

namespace sbm::trainer {
namespace {

namespace checkpoint = distributed::checkpoint;

Config configuration(const LoadRequest& request) {
  Config config = checkpoint_configuration(request.checkpoint);
  if (!request.data_folder.empty()) {
    config.mutable_data()->set_directory(request.data_folder.string());
  }
  return config;
}

data::Dataset open_split(const std::filesystem::path& folder, const Config& config,
                         const std::string& split) {
  data::Dataset dataset = data::Dataset::open(folder, split);
  // GLUE's diagnostic set has no training split: models of MNLI are tried on it.
  const bool diagnostic = dataset.task() == "glue/ax" && config.task().name() == "glue/mnli";
  if (dataset.task() != config.task().name() && !diagnostic) {
    throw DataError(folder.string() + ": expected data of task " + config.task().name() +
                    ", found " + dataset.task());
  }
  require_whole_pairs(dataset, config.model());
  return dataset;
}

// For data that say nothing of labels. Only a model for a class or a score a sample has a hidden
// layer in its head (docs/parameters.md), and only one for a score a single output.
ModelShape shape_without_labels(const data::Dataset& dataset, const std::filesystem::path& folder) {
  ModelShape shape = model_shape(dataset);
  shape.labels = data::LabelKind::kPerToken;
  for (const auto& tensor : checkpoint::inspect(folder).tensors) {
    if (tensor.name == "head.hidden.weight") shape.labels = data::LabelKind::kClass;
    if (tensor.name == "head.output.weight" && !tensor.shape.empty()) {
      shape.classes = static_cast<std::int64_t>(tensor.shape.front());
    }
  }
  if (shape.classes < 1) {
    throw CheckpointError(folder.string() + ": expected a tensor head.output.weight, found none");
  }
  if (shape.classes == 1) shape.labels = data::LabelKind::kScore;
  return shape;
}

ModelShape shape_of(const data::Dataset& dataset, const std::filesystem::path& folder) {
  const ModelShape shape = model_shape(dataset);
  return shape.labels == data::LabelKind::kNone ? shape_without_labels(dataset, folder) : shape;
}

// Class ids mean what the training data called them.
// Returns their names; none in a checkpoint from before they were kept with data without labels.
std::vector<std::string> agreed_labels(const std::filesystem::path& folder,
                                       const data::Dataset& dataset) {
  const TrainerState state = trainer_state_from_json(checkpoint::inspect(folder).trainer_state);
  if (dataset.label_names().empty()) return state.label_names;
  if (state.label_names.empty() || state.label_names == dataset.label_names()) {
    return dataset.label_names();
  }
  throw DataError(fmt::format("{}: trained with the labels {}, found {} in the data",
                              folder.string(), fmt::join(state.label_names, ", "),
                              fmt::join(dataset.label_names(), ", ")));
}

// Returns the step.
std::int64_t load_weights(distributed::Communicator& communicator, const LoadRequest& request,
                          const std::filesystem::path& data_folder, const data::Dataset& dataset,
                          ModelParameters& parameters) {
  const checkpoint::Restored restored = checkpoint::load(
      communicator, request.checkpoint, parameters.layout(), parameters.weights(), {}, {});
  parameters.send();
  require_sampler_version(request.checkpoint, restored.sampler_version);
  if (request.data_folder.empty() && restored.data_fingerprint != dataset.fingerprint()) {
    throw DataError(data_folder.string() +
                    ": expected the data that the run was trained on, fingerprint " +
                    restored.data_fingerprint + ", found " + dataset.fingerprint() +
                    "; name other data with --data");
  }
  return restored.step;
}

}  // namespace

LoadedModel::LoadedModel(distributed::Communicator& communicator, const LoadRequest& request)
    : config_(configuration(request)),
      data_folder_(
          prepare_data(communicator, config_, request.generated_data_root, request.message)),
      dataset_(open_split(data_folder_, config_, request.split)),
      parameters_(config_.model(), shape_of(dataset_, request.checkpoint),
                  config_.training().seed()),
      step_(load_weights(communicator, request, data_folder_, dataset_, parameters_)),
      encoder_(config_.model(), parameters_),
      label_names_(agreed_labels(request.checkpoint, dataset_)) {
  const ModelShape& shape = parameters_.shape();
  if (shape.labels == data::LabelKind::kScore || shape.masked_language) return;
  for (auto id = std::ssize(label_names_); id < shape.classes; ++id) {
    label_names_.push_back(std::to_string(id));
  }
}

EvaluationOptions LoadedModel::evaluation_options(std::optional<std::int32_t> draws,
                                                  MaskControl mask) const {
  const Training& training = config_.training();
  return {.micro_batch = training.micro_batch_size(),
          .lengths = length_buckets(dataset_, config_),
          .seed = training.seed(),
          .draws = draws.value_or(training.evaluation_draws()),
          .mask = mask,
          .masking = masking_rules(config_),
          .whole_batches = whole_evaluation_batches(training)};
}

}  // namespace sbm::trainer
