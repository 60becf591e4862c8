#include "trainer/loader_benchmark.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/error.h"
#include "data/loader.h"
#include "data/page_cache.h"
#include "trainer/batch_tensors.h"
#include "trainer/encoder.h"
#include "trainer/loss.h"
#include "trainer/model_shape.h"
#include "trainer/parameters.h"
#include "trainer/schedule.h"

namespace sbm::trainer {
namespace {

// Micro-batches of the first steps that training is timed on: enough for a mixture of lengths.
constexpr std::int64_t kTrainedBatches = 16;

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double wall_seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

data::Dataset open_training_split(const std::filesystem::path& folder, const Config& config) {
  data::Dataset dataset = data::Dataset::open(folder, "train");
  if (dataset.task() != config.task().name()) {
    throw DataError(folder.string() + ": expected data of task " + config.task().name() +
                    ", found " + dataset.task());
  }
  require_whole_pairs(dataset, config.model());
  return dataset;
}

data::TrainingPlan plan_of(const data::Dataset& dataset, const Config& config) {
  const Training& training = config.training();
  return {.seed = training.seed(),
          .global_batch = training.global_batch_size(),
          .micro_batch = training.micro_batch_size(),
          .last_micro_batch = training.global_batch_size() / training.micro_batch_size(),
          .lengths = length_buckets(dataset, config),
          .masking = masking_rules(config),
          .drop_last = training.drop_last()};
}

std::int64_t tokens_of(const data::Batch& batch) {
  std::int64_t tokens = 0;
  for (const std::int32_t length : batch.lengths) tokens += length;
  return tokens;
}

// Tokens of the whole steps of an epoch, or of one step where an epoch has none.
std::int64_t run_pass(const data::Dataset& dataset, const data::TrainingPlan& plan) {
  const auto size = static_cast<std::int64_t>(dataset.size());
  const std::int64_t batches =
      std::max<std::int64_t>(1, size / plan.global_batch) * plan.last_micro_batch;
  data::TrainingLoader loader(dataset, plan);
  std::int64_t tokens = 0;
  for (std::int64_t i = 0; i < batches; ++i) tokens += tokens_of(loader.next());
  return tokens;
}

// Tokens a second of processor time that forward and backward passes eat.
double time_training(const Config& config, const data::Dataset& dataset,
                     const data::TrainingPlan& plan, double seconds) {
  std::vector<data::Batch> batches;
  {
    data::TrainingLoader loader(dataset, plan);
    for (std::int64_t i = 0; i < kTrainedBatches; ++i) batches.push_back(loader.next());
  }
  const ModelParameters parameters(config.model(), model_shape(dataset), plan.seed);
  const Encoder encoder(config.model(), parameters);
  const bool masked = encoder.shape().masked_language;
  const auto train = [&](const data::Batch& batch) {
    BatchTensors tensors = masked ? masked_tensors(batch) : batch_tensors(batch);
    tensors.input.seed = plan.seed;
    tensors.input.training = true;
    const EncoderOutput output = encoder.forward(tensors.input);
    micro_batch_loss(target_loss_sum(encoder.shape().labels, output.logits, tensors.targets),
                     output.expected_density, plan.micro_batch, plan.micro_batch,
                     density_weight(config.model().attention(), 1))
        .backward();
  };
  double start = processor_seconds();
  train(batches.front());
  std::int64_t tokens = tokens_of(batches.front());
  if (processor_seconds() - start < seconds) {  // else it is long enough to be the measurement
    tokens = 0;
    start = processor_seconds();
    for (std::size_t i = 1; tokens == 0 || processor_seconds() - start < seconds; ++i) {
      const data::Batch& batch = batches[i % batches.size()];
      train(batch);
      tokens += tokens_of(batch);
    }
  }
  return static_cast<double>(tokens) / (processor_seconds() - start);
}

}  // namespace

LoaderTimes time_loader(const Config& config, const std::filesystem::path& folder, double seconds) {
  LoaderTimes times;
  times.still_cached = data::forget_cached_pages(folder);
  const double cold_start = wall_seconds();
  const data::Dataset dataset = open_training_split(folder, config);
  const data::TrainingPlan plan = plan_of(dataset, config);
  times.samples = dataset.size();
  times.pass_tokens = run_pass(dataset, plan);
  const double cold_seconds = wall_seconds() - cold_start;
  if (times.still_cached <= kMostStillCached) {
    times.cold = static_cast<double>(times.pass_tokens) / cold_seconds;
  }

  std::int64_t tokens = 0;
  const double start = processor_seconds();
  while (tokens == 0 || processor_seconds() - start < seconds) tokens += run_pass(dataset, plan);
  times.warm = static_cast<double>(tokens) / (processor_seconds() - start);

  times.training = time_training(config, dataset, plan, seconds);
  times.ratio = times.warm / times.training;
  if (times.cold) times.cold_ratio = *times.cold / times.training;
  return times;
}

}  // namespace sbm::trainer
