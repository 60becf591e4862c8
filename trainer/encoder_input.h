#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "trainer/mask_control.h"

namespace sbm::trainer {

/// One micro-batch as the encoder takes it, its tensors in host memory. What is random about it
/// follows from the fields below and the run's seed, never from the position in the batch or the
/// padding.
struct EncoderInput {
  at::Tensor tokens;  ///< int64 [batch, tokens], 0 on padding
  at::Tensor valid;   ///< bool [batch, tokens]; a row has at least one
  /// int64 [batch], tokens of the first of two parts; undefined when samples have one part.
  at::Tensor first_lengths;
  /// int64 [targets], ascending row * tokens + column: where a masked-language model predicts.
  at::Tensor places;
  std::span<const std::uint64_t> sample_ids;  ///< [batch]
  /// [batch], which sequence of its sample a row is; empty: samples have one.
  std::span<const std::uint32_t> sequences;
  std::int64_t granularity = 0;  ///< of the rows' padding: data::LengthBuckets
  bool unpadded = false;         ///< `valid` is known to be true everywhere
  std::uint64_t seed = 0;
  std::uint64_t step = 0;  ///< optimiser steps done; 0 in evaluation
  std::uint32_t draw = 0;  ///< 0 in training, 1 + the draw in evaluation
  bool training = false;   ///< dropout on
  MaskControl mask = MaskControl::kLearned;
};

}  // namespace sbm::trainer
