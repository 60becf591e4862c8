#pragma once

#include "kernels/cuda/attention.h"
#include "kernels/status.h"

namespace sbm::kernels::cuda {

/// Refuse parameters that contradict one another. They look at pointers, never behind them: what
/// device memory holds is the caller's word.
Status check(const ForwardParams& params);
Status check(const BackwardParams& params);

}  // namespace sbm::kernels::cuda
