#include "trainer/checkpoint_evaluation.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/dataset.h"
#include "distributed/checkpoint/checkpoint.h"
#include "kernels/sampling.h"
#include "trainer/config.h"
#include "trainer/encoder.h"
#include "trainer/evaluation.h"
#include "trainer/parameters.h"
#include "trainer/run_folder.h"
#include "trainer/task_data.h"
#include "trainer/trainer_state.h"

namespace sbm::trainer {
namespace {

namespace checkpoint = distributed::checkpoint;

double majority_share(const data::Dataset& dataset) {
  std::vector<std::int64_t> counts(std::max<std::size_t>(1, dataset.label_names().size()));
  std::int64_t labels = 0;
  for (std::uint64_t id = 0; id < dataset.size(); ++id) {
    const data::SampleView sample = dataset.sample(id);
    if (dataset.label_kind() == data::LabelKind::kPerToken) {
      for (const std::uint8_t label : sample.token_labels) ++counts[label];
      labels += static_cast<std::int64_t>(sample.token_labels.size());
    } else if (sample.label >= 0) {
      ++counts[static_cast<std::size_t>(sample.label)];
      ++labels;
    }
  }
  return labels == 0 ? 0.0
                     : static_cast<double>(*std::max_element(counts.begin(), counts.end())) /
                           static_cast<double>(labels);
}

}  // namespace

std::filesystem::path find_checkpoint(const std::filesystem::path& path) {
  const std::filesystem::path named = plain_path(path);
  if (!std::filesystem::is_directory(named)) {
    throw CheckpointError(named.string() + ": expected a run folder or a checkpoint, found " +
                          (std::filesystem::exists(named) ? "a file" : "nothing"));
  }
  const std::filesystem::path inner = named / "checkpoints";
  const bool is_run = std::filesystem::is_directory(inner);
  const std::vector<checkpoint::Found> found = checkpoint::list(is_run ? inner : named);
  if (found.empty()) {
    if (is_run) throw CheckpointError(inner.string() + ": expected a checkpoint, found none");
    return named;
  }
  if (is_run) {
    // The newest sound checkpoint knows which one was the best.
    for (const checkpoint::Found& newest : found) {
      try {
        const TrainerState state =
            trainer_state_from_json(checkpoint::inspect(newest.folder).trainer_state);
        for (const checkpoint::Found& candidate : found) {
          if (candidate.step == state.best_step) return candidate.folder;
        }
        return newest.folder;
      } catch (const CheckpointError&) {
        continue;
      }
    }
  }
  return found.front().folder;
}

Config checkpoint_configuration(const std::filesystem::path& folder) {
  return parse_config(checkpoint::inspect(folder).configuration,
                      (folder / "MANIFEST.json").string());
}

void require_sampler_version(const std::filesystem::path& folder, std::int32_t version) {
  if (version == kernels::kSamplerVersion) return;
  throw CheckpointError(folder.string() + ": expected masks of sampler version " +
                        std::to_string(kernels::kSamplerVersion) + ", found version " +
                        std::to_string(version));
}

CheckpointEvaluation evaluate_checkpoint(distributed::Communicator& communicator,
                                         const CheckpointEvaluationRequest& request) {
  Config config = checkpoint_configuration(request.checkpoint);
  if (!request.data_folder.empty()) {
    config.mutable_data()->set_directory(request.data_folder.string());
  }
  const std::filesystem::path data_folder =
      prepare_data(communicator, config, request.generated_data_root, request.message);
  const data::Dataset dataset = data::Dataset::open(data_folder, request.split);
  if (dataset.task() != config.task().name()) {
    throw DataError(data_folder.string() + ": expected data of task " + config.task().name() +
                    ", found " + dataset.task());
  }
  ModelParameters parameters(config.model(),
                             {.vocabulary = dataset.vocabulary_size(),
                              .classes = static_cast<std::int64_t>(dataset.label_names().size()),
                              .labels = dataset.label_kind()},
                             config.training().seed());
  const checkpoint::Restored restored = checkpoint::load(
      communicator, request.checkpoint, parameters.layout(), parameters.weights(), {}, {});
  require_sampler_version(request.checkpoint, restored.sampler_version);
  if (request.data_folder.empty() && restored.data_fingerprint != dataset.fingerprint()) {
    throw DataError(data_folder.string() +
                    ": expected the data that the run was trained on, fingerprint " +
                    restored.data_fingerprint + ", found " + dataset.fingerprint() +
                    "; name other data with --data");
  }
  const Encoder encoder(config.model(), parameters);

  EvaluationOptions options{.micro_batch = config.training().micro_batch_size(),
                            .max_length = config.model().max_length(),
                            .seed = config.training().seed(),
                            .draws = request.draws.value_or(config.training().evaluation_draws()),
                            .mask = request.mask};
  options.heartbeat = [&request, &restored] {
    if (request.heartbeat) request.heartbeat(restored.step, "evaluation");
  };
  CheckpointEvaluation result;
  result.record = evaluate(communicator, encoder, dataset, options);
  result.record.step = restored.step;
  result.task = dataset.task();
  result.draws = options.draws;
  result.majority_share = majority_share(dataset);
  return result;
}

}  // namespace sbm::trainer
