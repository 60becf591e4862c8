#include "kernels/cuda/attention.h"
#include "kernels/cuda/attention_edges_passes.cuh"

namespace sbm::kernels::cuda {
namespace {

template <Estimator estimator>
Status launch_passes(const EdgeBackward& backward, CUstream_st* stream) {
  Status status = launch_edge_backward<EdgeSide::kRows, estimator>(backward, stream);
  if (!status.ok()) return status;
  return launch_edge_backward<EdgeSide::kColumns, estimator>(backward, stream);
}

}  // namespace

Status attention_backward_edges(const BackwardParams& params, CUstream_st* stream) {
  const EdgeBackward backward = {.call = params,
                                 .dropout = DropoutRule(params.shape.dropout),
                                 .estimator = EstimatorRule(params.estimator)};
  switch (params.estimator.estimator) {
    case Estimator::kPaper:
      return launch_passes<Estimator::kPaper>(backward, stream);
    case Estimator::kReference:
      return launch_passes<Estimator::kReference>(backward, stream);
    default:
      return launch_passes<Estimator::kTrapezoid>(backward, stream);
  }
}

}  // namespace sbm::kernels::cuda
