#pragma once

#include <span>

#include "kernels/edge_list.h"
#include "kernels/executor.h"
#include "kernels/sampling.h"
#include "kernels/status.h"

namespace sbm::kernels::cpu {

/// Draws the masks of docs/sampler.md as edge lists, one graph for each (sample, head), in the
/// order [batch, heads]. The bits equal the reference's on every instruction set and thread count.
/// `graphs` has batch * heads elements; what they hold is replaced, their memory is reused.
/// Memory beyond the graphs is O(clusters * keys) a thread.
Status sample_edges(const SamplingParams& params, Executor& executor, std::span<EdgeList> graphs);

}  // namespace sbm::kernels::cpu
