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
  std::function<void()> heartbeat = {};  ///< called before each micro-batch
};

/// What several draws of the masks give for one micro-batch.
struct AveragedDraws {
  at::Tensor predictions;  ///< mean of the draws' predictions(): [..., classes] or [batch, 1]
  at::Tensor edge_counts;  ///< EncoderOutput::edge_counts, summed over the draws
  at::Tensor valid;        ///< EncoderOutput::valid
};

/// Runs the model options.draws times on `input`, whose seed, draw and mask are set here.
AveragedDraws average_draws(const Encoder& encoder, EncoderInput input,
                            const EvaluationOptions& options);

/// Collective. Evaluates every sample of the split: fixed micro-batches (the last one short), sums
/// by the tree and correlations over all predictions in sample order, so the answer has the same
/// bits at every world size. Throws DataError when the split has no labels, DivergenceError when a
/// predicted score is not finite. `step` and `best` of the record are left for the caller.
EvaluationRecord evaluate(distributed::Communicator& communicator, const Encoder& encoder,
                          const data::Dataset& dataset, const EvaluationOptions& options);

}  // namespace sbm::trainer
