// Which path each graph takes, and the work lists of the attention. O(n / 64) a graph.
//
//   choose_kinds  warp a graph: expected edges to kind, counters, cleared column counts
//   list_kinds    one block of 256: work lists, ascending, by a scan over the kinds

#include "kernels/cuda/sampling_kernels.h"
#include "kernels/cuda/sampling_warp.cuh"

namespace sbm::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpLanes;
/// Six standard deviations of the number of edges, squared.
constexpr std::uint64_t kSpare = 36;
/// A graph with lists is drawn as a mask when at least one row in so many takes the first branch.
constexpr std::uint64_t kCellRowShare = 16;

/// Whether so many cells, on average, leave no doubt that they fit.
__device__ bool fits(std::uint64_t expected, std::uint64_t forced, std::int64_t capacity) {
  const std::uint64_t cells = expected + forced;
  const auto room = static_cast<std::uint64_t>(capacity);
  return cells < room && (room - cells) * (room - cells) >= kSpare * (expected + 1);
}

__device__ GraphKind plan_graph(const SamplingCall& call, std::uint64_t expected,
                                std::uint64_t cell_rows, std::uint64_t valid_cells,
                                std::uint64_t forced) {
  if (call.path == AttentionPath::kDense) return GraphKind::kDense;
  // The expected edges are in units of 2^-16.
  const bool is_sparse =
      call.path == AttentionPath::kSparse || expected < (valid_cells * call.sparse_below) >> 16;
  if (!is_sparse || !fits(expected >> 16, forced, call.edges.lists.capacity)) {
    return GraphKind::kDense;
  }
  const bool by_rows = cell_rows * kCellRowShare <= static_cast<std::uint64_t>(call.queries);
  return by_rows ? GraphKind::kRowLists : GraphKind::kBitLists;
}

__device__ void clear_counts(const ListBuild& build, std::int64_t graph, std::int32_t keys) {
  if (build.lists.capacity == 0) return;
  for (std::int32_t key = lane_id(); key < keys; key += kWarpLanes) {
    build.column_counts[graph * keys + key] = 0;
  }
  if (lane_id() == 0) build.cursors[graph] = 0;
}

__global__ void __launch_bounds__(kThreads) choose_kinds(const SamplingCall call) {
  const std::int64_t graph = std::int64_t{blockIdx.x} * kWarps + warp_id();
  if (graph >= call.graphs) return;
  const std::int64_t batch = graph / call.heads;
  std::uint64_t expected = 0;
  std::uint64_t cell_rows = 0;
  for (std::int32_t tile = lane_id(); tile < call.row_tiles; tile += kWarpLanes) {
    expected += call.tile_expected[graph * call.row_tiles + tile];
    cell_rows += call.tile_cell_rows[graph * call.row_tiles + tile];
  }
  expected = lanes_sum(expected);
  cell_rows = lanes_sum(cell_rows);
  const std::uint64_t valid_cells = std::uint64_t{call.valid_queries[batch]} *
                                    call.keys_before[batch * (call.key_tiles + 1) + call.key_tiles];
  const std::uint64_t forced = call.forced_cells[batch];
  const GraphKind kind = plan_graph(call, expected, cell_rows, valid_cells, forced);
  if (kind == GraphKind::kRowLists) clear_counts(call.edges, graph, call.keys);
  if (kind != GraphKind::kDense) clear_counts(call.probes, graph, call.keys);
  if (lane_id() != 0) return;
  call.kinds[graph] = kind;
  call.out.edge_counts[3 * graph] = 0;
  call.out.edge_counts[3 * graph + 1] = static_cast<std::int64_t>(forced);
  call.out.edge_counts[3 * graph + 2] = static_cast<std::int64_t>(valid_cells);
}

/// Appends the graphs of which `belongs` holds to a list, ascending; by a whole block.
template <class Belongs>
__device__ void append(const SamplingCall& call, const Belongs& belongs, std::uint32_t* list,
                       std::uint32_t* count, std::uint32_t* warp_sums) {
  std::uint32_t before = 0;
  for (std::int32_t first = 0; first < call.graphs; first += kThreads) {
    const std::int32_t graph = first + static_cast<std::int32_t>(threadIdx.x);
    const std::uint32_t mine = graph < call.graphs && belongs(call.kinds[graph]) ? 1 : 0;
    std::uint32_t place = lanes_scan<kWarpLanes>(mine);
    if (lane_id() == kWarpLanes - 1) warp_sums[warp_id()] = place;
    __syncthreads();
    std::uint32_t all = 0;
    for (int warp = 0; warp < kWarps; ++warp) {
      if (warp < warp_id()) place += warp_sums[warp];
      all += warp_sums[warp];
    }
    __syncthreads();
    if (mine != 0) list[before + place - 1] = static_cast<std::uint32_t>(graph);
    before += all;
  }
  if (threadIdx.x == 0) *count = before;
}

__global__ void __launch_bounds__(kThreads) list_kinds(const SamplingCall call) {
  SBM_SHARED_ARRAY(std::uint32_t, warp_sums, kWarps);
  append(
      call,
      [](GraphKind kind) { return kind == GraphKind::kDense || kind == GraphKind::kOverflown; },
      call.out.dense_graphs, call.out.dense_count, warp_sums);
  append(
      call,
      [](GraphKind kind) { return kind == GraphKind::kBitLists || kind == GraphKind::kRowLists; },
      call.out.sparse_graphs, call.out.sparse_count, warp_sums);
  append(
      call, [](GraphKind kind) { return kind == GraphKind::kOverflown; }, call.overflown,
      call.overflown_count, warp_sums);
}

}  // namespace

Status plan_graphs(const SamplingCall& call, cudaStream_t stream) {
  return launch(choose_kinds, dim3(blocks_for(call.graphs, kWarps)), dim3(kThreads), 0, stream,
                call);
}

Status list_graphs(const SamplingCall& call, cudaStream_t stream) {
  return launch(list_kinds, dim3(1), dim3(kThreads), 0, stream, call);
}

}  // namespace sbm::kernels::cuda
