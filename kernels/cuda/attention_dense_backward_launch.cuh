#pragma once

#include "kernels/cuda/attention_dense_backward.cuh"
#include "kernels/cuda/attention_dense_launch.h"

// The launches of both passes for one precision and head size; one file each has the instances.
namespace sbm::kernels::cuda::dense {

template <class Traits>
Status launch_pass(BackwardCall call, cudaStream_t stream) {
  static_assert(Traits::kSharedBytes <= kLargestSharedBytes);
  const AttentionShape& shape = call.params.shape;
  const unsigned grid =
      grid_size(shape, Traits::kOwnsRows ? shape.queries : shape.keys, Traits::kOwn);
  if (grid == 0) return Status();
  // What the registers cannot hold of T and R comes in launches of its own.
  for (call.first_cluster = 0; call.first_cluster < shape.clusters;
       call.first_cluster += Traits::kClusters) {
    call.writes_gradients = call.first_cluster == 0;
    const Status status =
        launch(attention_dense_backward<Traits>, dim3(grid), dim3(Traits::kThreads),
               static_cast<std::size_t>(Traits::kSharedBytes), stream, call);
    if (!status.ok()) return status;
  }
  return Status();
}

template <class Element, int HeadDim, int Clusters, Form EstimatorForm>
Status launch_passes(const BackwardCall& call, cudaStream_t stream) {
  const Status status =
      launch_pass<BackwardTraits<Element, HeadDim, Clusters, Side::kRows, EstimatorForm>>(call,
                                                                                          stream);
  if (!status.ok()) return status;
  return launch_pass<BackwardTraits<Element, HeadDim, Clusters, Side::kKeys, EstimatorForm>>(
      call, stream);
}

template <class Element, int HeadDim, int Clusters>
Status launch_passes(const BackwardCall& call, cudaStream_t stream) {
  const Estimator estimator = call.params.estimator.estimator;
  if (estimator == Estimator::kTrapezoid || call.params.dense.law.law == MaskLaw::kPoisson) {
    return launch_passes<Element, HeadDim, Clusters, Form::kGeneral>(call, stream);
  }
  if (estimator == Estimator::kReference) {
    return launch_passes<Element, HeadDim, Clusters, Form::kReference>(call, stream);
  }
  return launch_passes<Element, HeadDim, Clusters, Form::kPaper>(call, stream);
}

}  // namespace sbm::kernels::cuda::dense
