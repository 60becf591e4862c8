#include "trainer/shown_tokens.h"

#include <ATen/ATen.h>

namespace sbm::trainer {

at::Tensor shown_tokens(const Model& model, const EncoderInput& input) {
  if (!model.zero_is_padding()) return input.valid;
  at::Tensor shown = input.valid.logical_and(input.tokens.ne(0));
  at::Tensor first = shown.narrow(1, 0, 1);
  first.logical_or_(shown.any(1, true).logical_not());
  return shown;
}

}  // namespace sbm::trainer
