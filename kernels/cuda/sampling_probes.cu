// Probes of docs/sampler.md, section 9: eight lanes a row skip along it, each with every eighth
// skip; positions are a scan over the skips. Sparse graphs get lists of probes that are no edges,
// dense ones mask bits.
//
// Shared memory of a group (lists only): a set of keys, .3 KiB at m = 2,048, 8.3 KiB at 65,536.
// Bound: a Philox call, a logarithm and a 64-bit division a probe, about 400 instructions of a
// lane.

#include "kernels/cuda/sampling_kernels.h"
#include "kernels/cuda/sampling_lists.cuh"
#include "kernels/sampler_counters.h"
#include "kernels/sampler_fixed_point.h"

namespace sbm::kernels::cuda {
namespace {

constexpr std::uint64_t kEveryCell = std::uint64_t{1} << 32;

/// Whether a cell can be probed: no padding, and no forced or removed diagonal.
__device__ bool is_probed(const SamplingCall& call, std::int64_t batch, std::int32_t row,
                          std::int32_t key) {
  if (key == row && call.self_loops != SelfLoops::kNone) return false;
  return (call.key_bits[batch * call.key_tiles + key / kMaskTile] >> (key % kMaskTile) & 1) != 0;
}

/// Calls probe(key) on some lane of the group for every probed cell of the row, if it is `active`.
/// By all lanes of a warp, whose groups may have different rows of one graph.
template <class Probe>
__device__ void probe_row(const SamplingCall& call, std::int64_t graph, std::int32_t row,
                          bool active, const Probe& probe) {
  const PhiloxKey stream = call.probe_keys[graph];
  const auto keys = static_cast<std::uint32_t>(call.keys);
  // Cells that the skips have passed; one more than the keys ends the row.
  std::uint32_t passed = active && call.probe_units != 0 ? 0 : keys;
  for (std::uint32_t first = 0; __any_sync(kWholeWarp, passed < keys); first += kGroupLanes) {
    std::uint32_t gap = keys + 1;
    if (passed < keys) {
      const std::uint32_t skip = first + static_cast<std::uint32_t>(group_lane());
      if (call.probe_units == kEveryCell) {
        gap = 1;
      } else {
        const PhiloxBlock block = philox4x32<kSamplerPhiloxRounds>(
            {static_cast<std::uint32_t>(row), skip / 2, 0, kProbeTag}, stream);
        const std::uint64_t uniform = skip % 2 == 0 ? wide_word(block, 0) : wide_word(block, 1);
        const std::uint64_t cells = negative_log(uniform == 0 ? 1 : uniform) / call.probe_hazard;
        gap = cells < keys ? static_cast<std::uint32_t>(cells) + 1 : keys + 1;
      }
    }
    const std::uint32_t through = lanes_scan<kGroupLanes>(gap, keys + 1);
    const std::uint32_t mine = through > keys + 1 - passed ? keys + 1 : passed + through;
    if (passed < keys && mine <= keys) {
      const auto key = static_cast<std::int32_t>(mine - 1);
      if (is_probed(call, graph / call.heads, row, key)) probe(key);
    }
    passed = __shfl_sync(kWholeWarp, mine, kGroupLanes - 1, kGroupLanes);
  }
}

__device__ bool is_valid_query(const SamplingCall& call, std::int64_t graph, std::int32_t row) {
  if (row >= call.queries) return false;
  const std::int64_t word = graph / call.heads * call.row_tiles + row / kMaskTile;
  return (call.query_bits[word] >> (row % kMaskTile) & 1) != 0;
}

/// Whether (row, key) is among the graph's edges.
__device__ bool is_edge(const SamplingCall& call, std::int64_t graph, std::int32_t row,
                        std::int32_t key) {
  const SampledLists& edges = call.edges.lists;
  const std::uint32_t* offsets = edges.row_offsets + graph * (call.queries + std::int64_t{1}) + row;
  const std::uint16_t* columns = edges.columns + graph * edges.capacity;
  std::uint32_t low = offsets[0];
  std::uint32_t high = offsets[1];
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (columns[middle] < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < offsets[1] && columns[low] == key;
}

__global__ void __launch_bounds__(kMostGroupThreads) list_probes(const SamplingCall call) {
  SBM_DYNAMIC_SHARED(unsigned char, shared);
  const int group = static_cast<int>(threadIdx.x) / kGroupLanes;
  OrderedSet set(
      reinterpret_cast<std::uint32_t*>(shared + std::int64_t{group} * set_bytes(call.keys)),
      call.keys);
  set.clear();
  __syncwarp();
  for (GroupWork work(call.queries); work.graph() < call.graphs; work.next += work.step) {
    const std::int64_t graph = work.graph();
    if (!is_listed_by_rows(call.kinds[graph], true)) continue;
    const std::int32_t row = work.line();
    const bool inside = row < call.queries;
    probe_row(call, graph, row, is_valid_query(call, graph, row), [&](std::int32_t key) {
      if (!is_edge(call, graph, row, key)) set.insert(static_cast<std::uint32_t>(key));
    });
    append_row(call.probes, graph, graph * call.queries + row, inside, set);
  }
}

__global__ void __launch_bounds__(kMostGroupThreads) mask_probes(const SamplingCall call) {
  const std::int32_t rows = call.row_tiles * kMaskTile;
  for (GroupWork work(rows); work.graph() < call.graphs; work.next += work.step) {
    const std::int64_t graph = work.graph();
    const GraphKind kind = call.kinds[graph];
    if (kind != GraphKind::kDense && kind != GraphKind::kOverflown) continue;
    const std::int32_t row = work.line();
    std::uint64_t* words = call.out.probe_mask + graph * call.graph_words();
    for (std::int32_t tile = group_lane(); tile < call.key_tiles; tile += kGroupLanes) {
      words[mask_word(call.keys, row, std::int64_t{tile} * kMaskTile)] = 0;
    }
    __syncwarp();
    probe_row(call, graph, row, is_valid_query(call, graph, row), [&](std::int32_t key) {
      auto* halves = reinterpret_cast<std::uint32_t*>(words + mask_word(call.keys, row, key));
      const int place = column_to_bit(key % kMaskTile);
      atomicOr(halves + place / 32, 1U << (place % 32));
    });
  }
}

}  // namespace

Status build_probe_lists(const SamplingCall& call, cudaStream_t stream) {
  const std::int64_t works = group_works(call, call.queries);
  if (works > 0) {
    const auto bytes = static_cast<std::size_t>(set_bytes(call.keys));
    const int warps = warps_for(bytes);
    if (Status status = launch(list_probes, dim3(blocks_for(works, warps)),
                               dim3(static_cast<unsigned>(warps * kWarpLanes)),
                               bytes * static_cast<std::size_t>(warps * kWarpGroups), stream, call);
        !status.ok()) {
      return status;
    }
  }
  return finish_lists(call, true, stream);
}

Status draw_probe_masks(const SamplingCall& call, cudaStream_t stream) {
  const std::int64_t works = group_works(call, call.row_tiles * kMaskTile);
  if (works == 0 || call.key_tiles == 0) return {};
  return launch(mask_probes, dim3(blocks_for(works, kMostGroupThreads / kWarpLanes)),
                dim3(kMostGroupThreads), 0, stream, call);
}

}  // namespace sbm::kernels::cuda
