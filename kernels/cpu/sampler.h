#pragma once

#include <cstdint>
#include <span>

#include "kernels/edge_list.h"
#include "kernels/executor.h"
#include "kernels/sampling.h"
#include "kernels/status.h"

namespace sbm::kernels::cpu {

/// How the cells of a row in the first branch are drawn. No bit depends on it: sample_edges() takes
/// the fastest by the row's density; tests and measurements may insist on one.
enum class CellForm : std::int32_t {
  kFastest,
  kEveryCell,  ///< the exact threshold of every cell
  kCoarse,     ///< 8-bit bounds of every threshold first; every cell where there is no such form
  kScreened,   ///< one bound for each row and 64 keys first
};

/// Draws the masks of docs/sampler.md as edge lists, one graph for each (sample, head), in the
/// order [batch, heads]. The bits equal the reference's on every instruction set and thread count.
/// `graphs` has batch * heads elements; what they hold is replaced, their memory is reused.
/// Memory beyond the graphs is O(clusters * keys) a thread.
Status sample_edges(const SamplingParams& params, Executor& executor, std::span<EdgeList> graphs,
                    CellForm form = CellForm::kFastest);

}  // namespace sbm::kernels::cpu
