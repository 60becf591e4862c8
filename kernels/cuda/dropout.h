#pragma once

#include <cstdint>

#include "base/philox.h"
#include "kernels/cuda/attention.h"
#include "kernels/status.h"

struct CUstream_st;

namespace sbm::kernels::cuda {

/// Dropout of features, the bits of kernels/cpu/dropout.h. All pointers are device memory.
struct DropoutParams {
  Precision precision = Precision::kFloat32;
  const void* input = nullptr;      ///< [samples, tokens, features], dense
  void* output = nullptr;           ///< likewise; may be the input
  const PhiloxKey* keys = nullptr;  ///< [samples]
  std::int64_t samples = 0;
  std::int64_t tokens = 0;    ///< below 2^32
  std::int64_t features = 0;  ///< at most 2^32
  double probability = 0.0;   ///< rounded to 1/65536, below 1
};

/// output = input * kept / (1 - p); the same call on the gradient is the backward. Runs on
/// `stream`, allocates nothing, never synchronises and can be captured. Not ok when parameters
/// contradict one another or CUDA refuses the launch.
Status keyed_dropout(const DropoutParams& params, CUstream_st* stream);

}  // namespace sbm::kernels::cuda
