// The linear branch of docs/sampler.md, section 8: eight lanes a row draw its arrivals, thin them,
// and either set mask bits or, in graphs that are listed row by row, collect the row's edges in a
// set that gives them back in order. There the rows of the first branch are collected from their
// mask bits too. No work grows as queries x keys, but what reads those bits.
//
// Shared memory of a group: 8 k bytes for the running sums of the clusters, and a set of keys (one
// bit a key and 1/32 more): .5 KiB at k = 32 and m = 2,048, 10 KiB at k = 256 and m = 65,536.
// Bound: an arrival costs a Philox call, two logarithms (25 wide multiplications), two searches
// and k / 8 x 4 byte products, about 600 instructions of one lane.

#include "kernels/cuda/sampling_arrivals.cuh"
#include "kernels/cuda/sampling_kernels.h"
#include "kernels/cuda/sampling_lists.cuh"

namespace sbm::kernels::cuda {
namespace {

/// So that up to 128 registers are at hand.
constexpr int kBlocksPerSm = 4;
/// Blocks for the graphs that did not fit, of which there are hardly ever any.
constexpr unsigned kOverflowBlocks = 264;

SBM_HOST_DEVICE std::int32_t running_bytes(const SamplingCall& call) {
  return call.clusters * static_cast<std::int32_t>(sizeof(std::uint64_t));
}

SBM_HOST_DEVICE std::int32_t group_bytes(const SamplingCall& call) {
  return running_bytes(call) + set_bytes(call.keys);
}

/// Sets a bit of the mask; whether it was not set before.
__device__ bool set_mask_bit(const SamplingCall& call, std::int64_t graph, std::int32_t row,
                             std::int32_t key) {
  auto* halves = reinterpret_cast<std::uint32_t*>(call.out.mask + graph * call.graph_words() +
                                                  mask_word(call.keys, row, key));
  const int place = column_to_bit(key % kMaskTile);
  const std::uint32_t bit = 1U << (place % 32);
  return (atomicOr(halves + place / 32, bit) & bit) == 0;
}

/// Puts the edges that the first branch has drawn in a row into the set.
__device__ void collect_mask_row(const SamplingCall& call, std::int64_t graph, std::int32_t row,
                                 OrderedSet& set) {
  const std::uint64_t* words = call.out.mask + graph * call.graph_words();
  for (std::int32_t tile = group_lane(); tile < call.key_tiles; tile += kGroupLanes) {
    const std::int32_t first = tile * kMaskTile;
    for (std::uint64_t bits = words[mask_word(call.keys, row, first)]; bits != 0;
         bits &= bits - 1) {
      const int bit = __ffsll(static_cast<long long>(bits)) - 1;
      set.insert(static_cast<std::uint32_t>(first + bit_to_column(bit)));
    }
  }
}

__global__ void __launch_bounds__(kMostGroupThreads, kBlocksPerSm)
    draw_row_groups(const SamplingCall call, const bool overflown) {
  SBM_DYNAMIC_SHARED(unsigned char, shared);
  const int group = static_cast<int>(threadIdx.x) / kGroupLanes;
  unsigned char* const memory = shared + std::int64_t{group} * group_bytes(call);
  OrderedSet set(reinterpret_cast<std::uint32_t*>(memory + running_bytes(call)), call.keys);
  set.clear();
  __syncwarp();

  const std::int64_t graphs = overflown ? *call.overflown_count : call.graphs;
  for (GroupWork work(call.queries); work.graph() < graphs; work.next += work.step) {
    const std::int64_t graph = overflown ? call.overflown[work.graph()] : work.graph();
    const std::int32_t row = work.line();
    const bool inside = row < call.queries;
    const std::int64_t row_place = graph * call.queries + (inside ? row : 0);
    const std::uint32_t factor = inside ? call.row_factors[row_place] : kEmptyRow;
    const bool is_linear = factor > kEmptyRow;
    const bool to_list = !overflown && call.kinds[graph] == GraphKind::kRowLists;
    if (!to_list && !__any_sync(kWholeWarp, is_linear)) continue;

    const std::int64_t batch = graph / call.heads;
    const std::uint32_t valid_keys =
        call.keys_before[batch * (call.key_tiles + 1) + call.key_tiles];
    LinearRow linear{};
    linear.graph = graph;
    linear.row = row;
    linear.active = is_linear;
    linear.exponent = call.out.row_exponents[row_place];
    linear.inverse_factor = factor;
    linear.scale.valid_keys = valid_keys;
    linear.scale.least_exponent = valid_keys > 0 ? call.least_exponents[graph] : 0;
    linear.scale.scale_bits = proposal_scale_bits(valid_keys);
    linear.running = reinterpret_cast<std::uint64_t*>(memory);

    std::uint32_t drawn = 0;
    draw_linear_row(call, linear, [&](std::int32_t key) {
      if (to_list) {
        set.insert(static_cast<std::uint32_t>(key));
      } else if (set_mask_bit(call, graph, row, key)) {
        ++drawn;
      }
    });
    if (to_list) {
      if (factor == kCellRow) collect_mask_row(call, graph, row, set);
      const bool forced =
          is_linear && call.self_loops == SelfLoops::kAdd && row < call.keys &&
          (call.key_bits[batch * call.key_tiles + row / kMaskTile] >> (row % kMaskTile) & 1) != 0;
      if (forced && group_lane() == 0) set.insert(static_cast<std::uint32_t>(row));
      const std::uint32_t total = append_row(call.edges, graph, row_place, inside, set);
      if (is_linear && group_lane() == 0) drawn = total - (forced ? 1 : 0);
    }
    drawn = lanes_sum(drawn);
    if (lane_id() == 0 && drawn != 0 && !overflown) {
      atomicAdd(reinterpret_cast<unsigned long long*>(call.out.edge_counts + 3 * graph),
                static_cast<unsigned long long>(drawn));
    }
    __syncwarp();
  }
}

}  // namespace

Status draw_rows(const SamplingCall& call, bool overflown, cudaStream_t stream) {
  const std::int64_t works = group_works(call, call.queries);
  if (works == 0) return {};
  const auto bytes = static_cast<std::size_t>(group_bytes(call));
  const int warps = warps_for(bytes);
  const unsigned blocks = blocks_for(works, warps);
  const dim3 shape(overflown && blocks > kOverflowBlocks ? kOverflowBlocks : blocks);
  return launch(draw_row_groups, shape, dim3(static_cast<unsigned>(warps * kWarpLanes)),
                bytes * static_cast<std::size_t>(warps * kWarpGroups), stream, call, overflown);
}

}  // namespace sbm::kernels::cuda
