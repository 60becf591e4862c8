#include "trainer/evaluation.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "data/evaluation_batches.h"
#include "distributed/partition.h"
#include "distributed/tree_all_reduce.h"
#include "trainer/batch_tensors.h"
#include "trainer/metrics.h"
#include "trainer/task_metrics.h"
#include "trainer/upload.h"

namespace sbm::trainer {
namespace {

/// Predicted and true scores of some samples, alternating.
using ScorePairs = std::vector<double>;

void append_scores(const at::Tensor& predicted, const at::Tensor& targets, ScorePairs& pairs) {
  const at::Tensor rows =
      at::stack({predicted.cpu().flatten(), targets.to(at::kDouble)}, 1).contiguous();
  const double* values = rows.const_data_ptr<double>();
  pairs.insert(pairs.end(), values, values + rows.numel());
}

/// The pairs of all ranks. Runs are contiguous and in rank order, so these are in the order of the
/// micro-batches.
ScorePairs gather(distributed::Communicator& communicator, const ScorePairs& mine) {
  std::string bytes(mine.size() * sizeof(double), '\0');
  std::memcpy(bytes.data(), mine.data(), bytes.size());
  ScorePairs all;
  for (const std::string& part : distributed::all_gather_strings(communicator, bytes)) {
    const std::size_t before = all.size();
    all.resize(before + part.size() / sizeof(double));
    std::memcpy(all.data() + before, part.data(), part.size());
  }
  return all;
}

std::map<std::string, double> score_metrics_of(const ScorePairs& pairs,
                                               data::EvaluationBatches& batches) {
  std::vector<double> predictions(pairs.size() / 2);
  std::vector<double> targets(pairs.size() / 2);
  std::size_t pair = 0;
  for (std::int64_t index = 0; index < batches.count(); ++index) {
    for (const std::uint64_t id : batches.ids(index)) {
      predictions.at(id) = pairs.at(2 * pair);
      targets.at(id) = pairs.at(2 * pair + 1);
      ++pair;
    }
  }
  return score_metrics(predictions, targets);
}

// Where the model has not looked itself (AttentionLayer).
void require_finite_memberships(const EncoderOutput& output) {
  if (output.expected_density.is_cpu()) return;
  if (output.expected_density.isfinite().all().item<bool>()) return;
  throw DivergenceError("expected finite memberships, found NaN or infinity");
}

data::Batch next_batch(data::EvaluationBatches& batches, std::int64_t index,
                       const data::Dataset& dataset, const EvaluationOptions& options) {
  data::Batch batch = batches.batch(index);
  if (options.masking) {
    const std::vector<std::uint64_t> epochs(batch.sample_ids.size(), data::kEvaluationEpoch);
    data::mask_batch(*options.masking, *dataset.word_pieces(), options.seed, epochs, batch);
  }
  return batch;
}

}  // namespace

std::int64_t evaluated_samples(const data::Dataset& dataset, std::int64_t whole_batches) {
  const auto samples = checked_cast<std::int64_t>(dataset.size(), "samples");
  if (whole_batches == 0) return samples;
  const std::int64_t whole = samples - samples % whole_batches;
  if (whole > 0) return whole;
  throw ConfigError(fmt::format(
      "training.evaluation_drop_last: expected a split of at least one batch of {} samples, found "
      "{} in split {} of {}",
      whole_batches, samples, dataset.split(), dataset.task()));
}

AveragedDraws average_draws(const Encoder& encoder, EncoderInput input,
                            const EvaluationOptions& options) {
  input.seed = options.seed;
  input.mask = options.mask;
  PredictionAverage predictions(encoder.shape().labels);
  at::Tensor edge_counts;
  at::Tensor valid;
  PreparedInput prepared = encoder.prepare(input);
  for (std::int32_t draw = 0; draw < options.draws; ++draw) {
    prepared.input.draw = static_cast<std::uint32_t>(draw) + 1;  // 0 belongs to training
    const EncoderOutput output = encoder.forward(prepared);
    require_finite_memberships(output);
    predictions.add(output.logits);
    edge_counts = draw == 0 ? output.edge_counts : edge_counts + output.edge_counts;
    valid = output.valid;
  }
  return {predictions.mean(), edge_counts, valid};
}

EvaluationRecord evaluate(distributed::Communicator& communicator, const Encoder& encoder,
                          const data::Dataset& dataset, const EvaluationOptions& options) {
  const bool masked = encoder.shape().masked_language;
  if (dataset.label_kind() == data::LabelKind::kNone && !masked) {
    throw DataError("split " + dataset.split() + " of " + dataset.task() +
                    " has no labels: expected a labelled split to evaluate on");
  }
  const at::NoGradGuard no_gradients;
  data::EvaluationBatches batches(dataset, options.micro_batch, options.lengths,
                                  evaluated_samples(dataset, options.whole_batches));
  const std::int64_t count = batches.count();
  const distributed::ElementRange run =
      distributed::even_part(count, communicator.rank(), communicator.world_size());
  const data::LabelKind labels = encoder.shape().labels;
  std::vector<double> mine;
  ScorePairs scores;
  for (std::int64_t index = run.begin; index < run.end; ++index) {
    if (options.heartbeat) options.heartbeat();
    const data::Batch batch = next_batch(batches, index, dataset, options);
    const BatchTensors tensors = masked ? masked_tensors(batch) : batch_tensors(batch);
    const AveragedDraws draws = average_draws(encoder, tensors.input, options);
    const std::vector<double> packed =
        count_totals(labels, draws.predictions, upload(tensors.targets, encoder.device()),
                     draws.valid, draws.edge_counts)
            .pack();
    if (labels == data::LabelKind::kScore) {
      append_scores(draws.predictions, tensors.targets, scores);
    }
    mine.insert(mine.end(), packed.begin(), packed.end());
  }
  const Model& model = encoder.model();
  const Totals totals = Totals::unpack(distributed::tree_all_reduce(
      communicator, count, totals_width(model.layers(), model.heads()), mine));

  EvaluationRecord record;
  record.split = dataset.split();
  record.samples = static_cast<std::int64_t>(totals.samples);
  record.loss = totals.mean_loss();
  record.metrics = labels == data::LabelKind::kScore
                       ? score_metrics_of(gather(communicator, scores), batches)
                       : class_metrics(dataset.task(), totals);
  record.density = totals.density();
  record.density_with_self_loops = totals.density_with_self_loops();
  record.head_density = totals.head_density();
  return record;
}

}  // namespace sbm::trainer
