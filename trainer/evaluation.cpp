#include "trainer/evaluation.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <vector>

#include "base/error.h"
#include "data/evaluation_batches.h"
#include "distributed/partition.h"
#include "distributed/tree_all_reduce.h"
#include "trainer/batch_tensors.h"
#include "trainer/metrics.h"

namespace sbm::trainer {
namespace {

Totals evaluate_batch(const Encoder& encoder, const data::Batch& batch,
                      const EvaluationOptions& options) {
  const BatchTensors tensors = batch_tensors(batch);
  const AveragedDraws draws = average_draws(encoder, tensors.input, options);
  return count_totals(draws.probabilities, tensors.targets, tensors.input.valid, draws.edge_counts);
}

}  // namespace

AveragedDraws average_draws(const Encoder& encoder, EncoderInput input,
                            const EvaluationOptions& options) {
  input.seed = options.seed;
  input.mask = options.mask;
  ProbabilityAverage probabilities;
  at::Tensor edge_counts;
  for (std::int32_t draw = 0; draw < options.draws; ++draw) {
    input.draw = static_cast<std::uint32_t>(draw) + 1;  // 0 belongs to training
    const EncoderOutput output = encoder.forward(input);
    probabilities.add(output.logits);
    edge_counts = draw == 0 ? output.edge_counts : edge_counts + output.edge_counts;
  }
  return {probabilities.mean(), edge_counts};
}

EvaluationRecord evaluate(distributed::Communicator& communicator, const Encoder& encoder,
                          const data::Dataset& dataset, const EvaluationOptions& options) {
  if (dataset.label_kind() == data::LabelKind::kNone) {
    throw DataError("split " + dataset.split() + " of " + dataset.task() +
                    " has no labels: expected a labelled split to evaluate on");
  }
  const at::NoGradGuard no_gradients;
  const std::int64_t count = data::evaluation_batch_count(dataset, options.micro_batch);
  const distributed::ElementRange run =
      distributed::even_part(count, communicator.rank(), communicator.world_size());
  std::vector<double> mine;
  for (std::int64_t index = run.begin; index < run.end; ++index) {
    if (options.heartbeat) options.heartbeat();
    const data::Batch batch = data::evaluation_batch(dataset, index, options.micro_batch,
                                                     options.max_length, kLengthMultiple);
    const std::vector<double> packed = evaluate_batch(encoder, batch, options).pack();
    mine.insert(mine.end(), packed.begin(), packed.end());
  }
  const Model& model = encoder.model();
  const Totals totals = Totals::unpack(distributed::tree_all_reduce(
      communicator, count, totals_width(model.layers(), model.heads()), mine));

  EvaluationRecord record;
  record.split = dataset.split();
  record.samples = static_cast<std::int64_t>(totals.samples);
  record.loss = totals.mean_loss();
  record.metrics = {{"accuracy", totals.accuracy()}};
  record.density = totals.density();
  record.density_with_self_loops = totals.density_with_self_loops();
  record.head_density = totals.head_density();
  return record;
}

}  // namespace sbm::trainer
