#pragma once

#include <cstdint>

#include "kernels/cuda/attention_edges_backward.cuh"
#include "kernels/cuda/attention_edges_launch.h"

// The launches of a pass of the edge-list backward, instantiated by one file for each estimator.
namespace sbm::kernels::cuda {

template <EdgeSide side, Estimator estimator>
struct EdgeBackwardLauncher {
  template <class Element, int most_clusters>
  static Status with_clusters(const EdgeBackward& backward, CUstream_st* stream) {
    switch (backward.call.shape.head_dim) {
      case 32:
        return with_traits<EdgeBackwardTraits<Element, 32, side, estimator, most_clusters>>(
            backward, stream);
      case 64:
        return with_traits<EdgeBackwardTraits<Element, 64, side, estimator, most_clusters>>(
            backward, stream);
      default:
        return with_traits<EdgeBackwardTraits<Element, 128, side, estimator, most_clusters>>(
            backward, stream);
    }
  }

  template <class Traits>
  static Status with_traits(const EdgeBackward& backward, CUstream_st* stream) {
    const AttentionShape& shape = backward.call.shape;
    const std::uint32_t blocks = edge_blocks(shape, Traits::kIsRows ? shape.queries : shape.keys);
    if (blocks == 0) return {};
    return launch(edge_backward_kernel<Traits>, dim3(blocks), dim3(Traits::kThreads), 0, stream,
                  backward);
  }
};

template <EdgeSide side, Estimator estimator>
Status launch_edge_backward(const EdgeBackward& backward, CUstream_st* stream) {
  using Launcher = EdgeBackwardLauncher<side, estimator>;
  if (backward.call.precision == Precision::kFloat32) {
    return Launcher::template with_clusters<float, kManyClusters>(backward, stream);
  }
  if (backward.call.shape.clusters <= kFewClusters) {
    return Launcher::template with_clusters<__nv_bfloat16, kFewClusters>(backward, stream);
  }
  return Launcher::template with_clusters<__nv_bfloat16, kManyClusters>(backward, stream);
}

}  // namespace sbm::kernels::cuda
