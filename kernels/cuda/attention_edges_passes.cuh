#pragma once

#include "kernels/cuda/attention.h"
#include "kernels/cuda/attention_dropout.cuh"
#include "kernels/cuda/attention_estimator.cuh"

// The two passes of the edge-list backward.
namespace sbm::kernels::cuda {

enum class EdgeSide {
  kRows,     ///< dQ and T, along CSR
  kColumns,  ///< dK, dV and R, along CSC
};

struct EdgeBackward {
  BackwardParams call;
  DropoutRule dropout;
  EstimatorRule estimator;
};

/// Launches a pass over all graphs of the work list. Each instance has a file of its own, so that
/// they compile side by side.
template <EdgeSide side, Estimator estimator>
Status launch_edge_backward(const EdgeBackward& backward, CUstream_st* stream);

}  // namespace sbm::kernels::cuda
