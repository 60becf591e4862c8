#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "data/batch.h"
#include "trainer/encoder_input.h"

namespace sbm::trainer {

/// What the encoder takes of one micro-batch, labels or not: tokens, valid, first_lengths,
/// sample_ids and granularity filled in. `sample_ids` points into the batch, which must live on.
EncoderInput encoder_input(const data::Batch& batch);

/// The tensors of one micro-batch. The batch must live on, as for encoder_input().
struct BatchTensors {
  EncoderInput input;
  /// int64 [batch] or [batch, tokens], kIgnoredTarget where there is none; scores: float [batch];
  /// masked language: the true ids at input.places, [targets].
  at::Tensor targets;
};

/// Throws InternalError when the batch has no labels.
BatchTensors batch_tensors(const data::Batch& batch);

/// The same of a batch that data::mask_batch() has masked; fills in input.places.
BatchTensors masked_tensors(const data::Batch& batch);

}  // namespace sbm::trainer
