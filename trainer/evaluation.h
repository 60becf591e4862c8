#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "data/dataset.h"
#include "data/length_buckets.h"
#include "data/token_masking.h"
#include "distributed/communicator.h"
#include "trainer/encoder.h"
#include "trainer/telemetry.h"

namespace sbm::trainer {

struct EvaluationOptions {
  std::int64_t micro_batch = 8;  ///< samples a forward pass; decides the order of sums
  data::LengthBuckets lengths;   ///< of length_buckets()
  std::uint64_t seed = 0;        ///< of the masks
  std::int32_t draws = 1;        ///< masks a sample; the predictions are averaged
  MaskControl mask = MaskControl::kLearned;
  /// Of masked language, whose masked tokens are the same in every evaluation and every draw.
  std::optional<data::MaskingRules> masking{};
  /// Above 0, only the first whole batches of so many samples are evaluated, as if the loader
  /// dropped its last batch.
  std::int64_t whole_batches = 0;
  std::function<void()> heartbeat = {};  ///< called before each micro-batch
};

/// How many samples of the split EvaluationOptions::whole_batches leaves. Throws ConfigError when
/// there is no whole batch.
std::int64_t evaluated_samples(const data::Dataset& dataset, std::int64_t whole_batches);

/// What several draws of the masks give for one micro-batch.
struct AveragedDraws {
  at::Tensor predictions;  ///< mean of the draws' predictions(): [..., classes] or [batch, 1]
  at::Tensor edge_counts;  ///< EncoderOutput::edge_counts, summed over the draws
  at::Tensor valid;        ///< EncoderOutput::valid
};

/// Runs the model options.draws times on `input`, whose seed, draw and mask are set here.
AveragedDraws average_draws(const Encoder& encoder, EncoderInput input,
                            const EvaluationOptions& options);

/// Collective. Evaluates every sample of the split, but for options.whole_batches: fixed
/// micro-batches (the last one short), sums by the tree and correlations over all predictions in
/// sample order, so the answer has the same bits at every world size. Throws DataError when the
/// split has no labels, DivergenceError when a predicted score is not finite, ConfigError when the
/// split has no whole batch. `step` and `best` of the record are left for the caller.
EvaluationRecord evaluate(distributed::Communicator& communicator, const Encoder& encoder,
                          const data::Dataset& dataset, const EvaluationOptions& options);

}  // namespace sbm::trainer
