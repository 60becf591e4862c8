// Gates and probabilities of listed cells, computed again from the sampler's integers: eight lanes
// a row or a column. Bound: k / 8 x 8 byte products and 2 k bytes of K (or W) a cell, from L2.

#include "kernels/cuda/sampling_cells.cuh"
#include "kernels/cuda/sampling_kernels.h"
#include "kernels/cuda/sampling_lists.cuh"

namespace sbm::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpLanes;

/// One side of a list.
struct ListSide {
  const std::uint32_t* offsets = nullptr;
  const std::uint16_t* others = nullptr;
  float* gates = nullptr;
  float* probabilities = nullptr;
  std::int64_t capacity = 0;
  std::int32_t lines = 0;
  bool columns = false;
};

__global__ void __launch_bounds__(kThreads)
    weigh_side(const SamplingCall call, const ListSide side) {
  for (GroupWork work(side.lines); work.graph() < call.graphs; work.next += work.step) {
    const std::int64_t graph = work.graph();
    const std::int32_t line = work.line();
    const GraphKind kind = call.kinds[graph];
    const bool listed = kind == GraphKind::kBitLists || kind == GraphKind::kRowLists;
    if (!listed || line >= side.lines) continue;
    const std::uint32_t* offsets = side.offsets + graph * (side.lines + std::int64_t{1}) + line;
    for (std::uint32_t i = offsets[0] + static_cast<std::uint32_t>(group_lane()); i < offsets[1];
         i += kGroupLanes) {
      const std::int64_t place = graph * side.capacity + i;
      const std::int32_t row = side.columns ? side.others[place] : line;
      const std::int32_t key = side.columns ? line : side.others[place];
      // A diagonal cell in a list is forced, unless the diagonal is drawn.
      const bool forced = row == key && call.self_loops != SelfLoops::kNone;
      const std::uint32_t accumulator =
          cell_accumulator(call.weight_row(graph, row), call.key_row(graph, key), call.units);
      const int shift = call.out.row_exponents[graph * call.queries + row] +
                        call.out.key_exponents[graph * call.keys + key];
      const std::uint32_t probability = probability_units(accumulator, shift);
      const std::uint32_t threshold = edge_threshold(call.law, probability, call.exploration);
      if (side.gates != nullptr) {
        const bool closed = forced || is_saturated(probability, call.exploration);
        side.gates[place] = edge_gate(call.law, threshold, closed);
      }
      if (side.probabilities != nullptr) {
        side.probabilities[place] = forced ? 1.0F : static_cast<float>(threshold) * 0x1p-32F;
      }
    }
  }
}

Status weigh(const SamplingCall& call, const ListSide& side, cudaStream_t stream) {
  const std::int64_t works = group_works(call, side.lines);
  if (works == 0 || (side.gates == nullptr && side.probabilities == nullptr)) return {};
  return launch(weigh_side, dim3(blocks_for(works, kWarps)), dim3(kThreads), 0, stream, call, side);
}

Status weigh_lists(const SamplingCall& call, const SampledLists& lists, cudaStream_t stream) {
  if (Status status = weigh(call,
                            {lists.row_offsets, lists.columns, lists.row_gates,
                             lists.row_probabilities, lists.capacity, call.queries, false},
                            stream);
      !status.ok()) {
    return status;
  }
  return weigh(call,
               {lists.column_offsets, lists.rows, lists.column_gates, lists.column_probabilities,
                lists.capacity, call.keys, true},
               stream);
}

}  // namespace

Status weigh_listed_cells(const SamplingCall& call, cudaStream_t stream) {
  if (Status status = weigh_lists(call, call.edges.lists, stream); !status.ok()) return status;
  if (call.probes.lists.capacity == 0) return {};
  return weigh_lists(call, call.probes.lists, stream);
}

}  // namespace sbm::kernels::cuda
