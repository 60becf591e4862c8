#include "trainer/training_run.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/error.h"
#include "distributed/checkpoint/checkpoint.h"
#include "kernels/sampling.h"
#include "trainer/batch_tensors.h"
#include "trainer/config.h"
#include "trainer/documents.h"
#include "trainer/initial_weights.h"
#include "trainer/mask_picture.h"
#include "trainer/model_shape.h"
#include "trainer/named_checkpoint.h"
#include "trainer/task_data.h"
#include "trainer/task_metrics.h"

namespace sbm::trainer {
namespace {

namespace checkpoint = distributed::checkpoint;

// Enough to see the structure of a mask, little enough for a page that holds every head.
constexpr std::int64_t kPictureTokens = 96;

distributed::AdamWOptions optimizer_options(const Training& training) {
  return {.beta1 = training.adam_beta1(),
          .beta2 = training.adam_beta2(),
          .epsilon = training.adam_epsilon(),
          .weight_decay = training.weight_decay()};
}

std::string mebibytes(std::int64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1024.0 * 1024.0));
}

// A split to train or to validate on.
data::Dataset open_split(const std::filesystem::path& folder, const std::string& split,
                         const Config& config) {
  data::Dataset dataset = data::Dataset::open(folder, split);
  if (dataset.task() != config.task().name()) {
    throw DataError(folder.string() + ": expected data of task " + config.task().name() +
                    ", found " + dataset.task());
  }
  if (dataset.label_kind() != dataset.task_label_kind()) {
    throw DataError(folder.string() + ": expected labels in split " + split + ", found none");
  }
  require_whole_pairs(dataset, config.model());
  return dataset;
}

}  // namespace

TrainingRun::TrainingRun(distributed::Communicator& communicator, const TrainRequest& request,
                         const RunFolder& folder, const std::filesystem::path& data_folder)
    : communicator_(communicator),
      request_(request),
      config_(request.config),
      folder_(folder),
      data_folder_(data_folder),
      train_(open_split(data_folder, "train", config_)),
      validation_(open_split(data_folder, "validation", config_)),
      parameters_(config_.model(), model_shape(train_), config_.training().seed()),
      encoder_(config_.model(), parameters_),
      reducer_(communicator, parameters_.layout(),
               config_.training().global_batch_size() / config_.training().micro_batch_size()),
      optimizer_(communicator, parameters_.layout(), parameters_.weights(),
                 optimizer_options(config_.training())) {
  parameters_.bind_gradients(reducer_.leaf());
  // Now and not after the first steps.
  static_cast<void>(evaluated_samples(validation_, whole_evaluation_batches(config_.training())));
  epoch_size_ = data::epoch_size(train_, config_.training().global_batch_size(),
                                 config_.training().drop_last());
  state_.seed = config_.training().seed();
  state_.label_names = train_.label_names();
  state_.vocabulary = train_.vocabulary_hash();
  state_.schedule = Training::Schedule_Name(config_.training().schedule());
  start_loader();
}

void TrainingRun::start_loader() {
  const Training& training = config_.training();
  train_step_.reset();
  loader_ = std::make_unique<data::TrainingLoader>(
      train_, data::TrainingPlan{.seed = training.seed(),
                                 .global_batch = training.global_batch_size(),
                                 .micro_batch = training.micro_batch_size(),
                                 .first_micro_batch = reducer_.run().begin,
                                 .last_micro_batch = reducer_.run().end,
                                 .first_step = state_.step,
                                 .lengths = length_buckets(train_, config_),
                                 .masking = masking_rules(config_),
                                 .drop_last = training.drop_last()});
  train_step_ = std::make_unique<TrainStep>(communicator_, config_, encoder_, parameters_.layout(),
                                            reducer_, optimizer_, *loader_);
}

void TrainingRun::restore(const std::filesystem::path& folder) {
  std::vector<float> first_moment(optimizer_.first_moment().size());
  std::vector<float> second_moment(optimizer_.second_moment().size());
  const checkpoint::Restored restored =
      checkpoint::load(communicator_, folder, parameters_.layout(), parameters_.weights(),
                       first_moment, second_moment);
  if (restored.data_fingerprint != train_.fingerprint()) {
    throw ConfigError(fmt::format("{}: trained on data with fingerprint {}, found {} in {}",
                                  folder.string(), restored.data_fingerprint, train_.fingerprint(),
                                  data_folder_.string()));
  }
  require_sampler_version(folder, restored.sampler_version);
  state_ = trainer_state_from_json(restored.trainer_state);
  state_.label_names = train_.label_names();
  state_.vocabulary = train_.vocabulary_hash();
  optimizer_.restore(state_.step, first_moment, second_moment);
  start_loader();
}

std::string TrainingRun::initialize() {
  return initialize_weights(communicator_, config_, train_.vocabulary_hash(), parameters_);
}

StepStatistics TrainingRun::step() {
  StepStatistics statistics = train_step_->run(state_.step);
  ++state_.step;
  state_.position = state_.step * config_.training().global_batch_size();
  return statistics;
}

EvaluationRecord TrainingRun::evaluate_validation() {
  const Training& training = config_.training();
  EvaluationOptions options{.micro_batch = training.micro_batch_size(),
                            .lengths = length_buckets(validation_, config_),
                            .seed = training.seed(),
                            .draws = training.evaluation_draws(),
                            .masking = masking_rules(config_),
                            .whole_batches = whole_evaluation_batches(training)};
  options.heartbeat = [this] {
    if (request_.heartbeat) request_.heartbeat(state_.step, "evaluation");
  };
  EvaluationRecord record = evaluate(communicator_, encoder_, validation_, options);
  record.step = state_.step;
  const std::string& metric = task_metrics(config_.task().name()).front();
  const double value = record.metrics.at(metric);
  record.best = state_.best_step < 0 || value > state_.best_value;
  if (record.best) {
    state_.best_step = state_.step;
    state_.best_value = value;
    state_.best_metric = metric;
    state_.evaluations_without_improvement = 0;
  } else {
    ++state_.evaluations_without_improvement;
  }
  state_.last_metrics = record.metrics;
  state_.last_metrics["loss"] = record.loss;
  return record;
}

TrainingRun::SaveNotes TrainingRun::save(const std::string& run_id) {
  const checkpoint::SaveReport report =
      checkpoint::save(communicator_, folder_.checkpoints(), run_id,
                       {.step = state_.step,
                        .layout = &parameters_.layout(),
                        .weights = parameters_.weights(),
                        .first_moment = optimizer_.first_moment(),
                        .second_moment = optimizer_.second_moment(),
                        .trainer_state = to_json(state_),
                        .sampler_version = kernels::kSamplerVersion,
                        .data_fingerprint = train_.fingerprint(),
                        .configuration = lasting_text(config_)},
                       {.threads = at::get_num_threads()});
  const std::array<std::int64_t, 1> best = {state_.best_step};
  SaveNotes notes{report.notice, {}};
  checkpoint::retain(communicator_, folder_.checkpoints(), config_.checkpoint().keep_last(), best,
                     notes.warnings);
  return notes;
}

double TrainingRun::epoch() const {
  return static_cast<double>(state_.position) / static_cast<double>(epoch_size_);
}

std::vector<MaskPicture> TrainingRun::mask_pictures() const {
  const std::array<std::uint64_t, 1> sample = {0};
  // A batch of one needs no padding: with a multiple of 1 every row and column is a token.
  const data::Batch batch =
      data::collate(validation_, sample, length_buckets(validation_, config_).max_length, 1);
  EncoderInput input = encoder_input(batch);
  input.seed = config_.training().seed();
  input.draw = 1;
  if (parameters_.shape().parts != SampleParts::kDocuments) {
    return draw_mask_pictures(encoder_, input, kPictureTokens);
  }
  const Documents documents = split_documents(input, config_.model().max_length());
  return draw_mask_pictures(encoder_, first_row(documents.input), kPictureTokens);
}

std::string TrainingRun::description() const {
  const Model& model = config_.model();
  const Training& training = config_.training();
  std::int64_t decayed = 0;
  std::int64_t decayed_tensors = 0;
  for (const auto& entry : parameters_.layout().entries()) {
    if (!entry.spec.decay) continue;
    decayed += entry.range.size();
    ++decayed_tensors;
  }
  const std::int64_t count = parameters_.layout().parameter_count();
  const auto tensors = static_cast<std::int64_t>(parameters_.layout().entries().size());
  const std::int64_t flat = parameters_.layout().size() * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t moments =
      static_cast<std::int64_t>(optimizer_.first_moment().size() * 2 * sizeof(float));
  std::string text =
      fmt::format("model       {} layers, {} heads of {}, width {}, {} attention", model.layers(),
                  model.heads(), model.head_dim(), model.embedding_dim(),
                  Attention::Type_Name(model.attention().type()));
  if (model.attention().type() == Attention::SBM) {
    text += fmt::format(", {} clusters, {}, {}", model.attention().clusters(),
                        Attention::Law_Name(model.attention().law()),
                        Attention::Estimator_Name(model.attention().estimator()));
  }
  text += fmt::format(
      "\nparameters  {} in {} tensors; weight decay on {} in {} matrices, none on {} in {} biases, "
      "norms and embeddings",
      count, tensors, decayed, decayed_tensors, count - decayed, tensors - decayed_tensors);
  text += fmt::format("\nmemory      weights {}, gradient buffers {}, optimiser shard {} a rank",
                      mebibytes(flat), mebibytes(reducer_.bytes()), mebibytes(moments));
  text += fmt::format("\ndata        {}: {} training and {} validation samples, fingerprint {}",
                      train_.task(), train_.size(), validation_.size(),
                      train_.fingerprint().substr(0, 12));
  text += fmt::format(
      "\nbatch       {} samples in {} micro-batches of {}; {} rank{}", training.global_batch_size(),
      training.global_batch_size() / training.micro_batch_size(), training.micro_batch_size(),
      communicator_.world_size(), communicator_.world_size() == 1 ? "" : "s");
  return text;
}

}  // namespace sbm::trainer
