#pragma once

#include <ATen/core/Tensor.h>

#include "trainer/config.pb.h"
#include "trainer/encoder_input.h"

namespace sbm::trainer {

/// Which tokens a model sees, bool [batch, tokens]: input.valid or, with model.zero_is_padding,
/// those of them whose id is not 0, as in the published code (sc782/SBM-Transformer: mask = (id !=
/// 0)). There a sample of nothing but zeros attends to nothing at all; here it keeps its first
/// token, so that every sample has one.
at::Tensor shown_tokens(const Model& model, const EncoderInput& input);

}  // namespace sbm::trainer
