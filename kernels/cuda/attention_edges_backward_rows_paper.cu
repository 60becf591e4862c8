#include "kernels/cuda/attention_edges_backward_launch.cuh"

namespace sbm::kernels::cuda {

template Status launch_edge_backward<EdgeSide::kRows, Estimator::kPaper>(const EdgeBackward&,
                                                                         CUstream_st*);

}  // namespace sbm::kernels::cuda
