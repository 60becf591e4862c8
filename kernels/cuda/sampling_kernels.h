#pragma once

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/sampling_call.h"
#include "kernels/status.h"

// The steps of a sampling call, in their order; each launches kernels on the stream.
namespace sbm::kernels::cuda {

/// Valid tokens, S, K, and the sums over the keys.
Status quantize_inputs(const SamplingCall& call, cudaStream_t stream);
/// W, its exponents, and what each row will be.
Status weigh_rows(const SamplingCall& call, cudaStream_t stream);
/// The kind of each graph, and its counters.
Status plan_graphs(const SamplingCall& call, cudaStream_t stream);
/// Rows of the first branch: mask bits. `overflown`: whole masks of the graphs that did not fit.
Status draw_cells(const SamplingCall& call, bool overflown, cudaStream_t stream);
/// Rows of the linear branch: mask bits, or lists row by row.
Status draw_rows(const SamplingCall& call, bool overflown, cudaStream_t stream);
/// Lists of edges from masks and from rows.
Status build_edge_lists(const SamplingCall& call, cudaStream_t stream);
/// Lists of probes, without edges.
Status build_probe_lists(const SamplingCall& call, cudaStream_t stream);
/// The work lists, and the list of graphs that did not fit.
Status list_graphs(const SamplingCall& call, cudaStream_t stream);
/// Probe masks of the dense graphs.
Status draw_probe_masks(const SamplingCall& call, cudaStream_t stream);
/// Gates and probabilities of listed cells.
Status weigh_listed_cells(const SamplingCall& call, cudaStream_t stream);

}  // namespace sbm::kernels::cuda
