#include <ATen/autocast_mode.h>
#include <torch/library.h>

#include "kernels/torch/operators.h"

// The CPU kernels compute in float, so autocast widens what a bfloat16 neighbour hands over.
TORCH_LIBRARY_IMPL(sbm, AutocastCPU, library) {
  using at::autocast::CastPolicy;
  using at::autocast::WrapFunction;
  using namespace sbm::kernels::torch;
  library.impl("attention", WrapFunction<CastPolicy::fp32, at::kCPU, AttentionSignature,
                                         AttentionSignature, dispatch_attention>::type::call);
  library.impl("keyed_dropout",
               WrapFunction<CastPolicy::fp32, at::kCPU, KeyedDropoutSignature,
                            KeyedDropoutSignature, dispatch_keyed_dropout>::type::call);
}
