// From masks, and from rows in any order, to CSR and CSC, without sorting by keys.
//
//   count_masks, fill_masks   warp a tile row or a tile column: a lane owns two rows, or, after a
//                             transposition of 64 x 64 bits in the warp, two columns
//   count_columns             eight lanes a row: the edges of every column of row-listed graphs
//   scan_counts               block of 256 a graph: offsets; who does not fit goes dense
//   copy_rows                 eight lanes a row: from where it was appended to its place
//   scatter_columns           eight lanes a row: into the columns, in any order
//   sort_columns              eight lanes a column: a set of rows puts them in order
// Masks are read four times, n m / 2 bytes in all; lists move 2 bytes an edge and step, so memory
// bounds both.

#include "kernels/cuda/sampling_lists.cuh"

#include "kernels/cuda/sampling_kernels.h"

namespace sbm::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpLanes;

/// Transposes 32 x 32 bits: lane l gives row l and gets column l.
__device__ std::uint32_t transpose(std::uint32_t row) {
  std::uint32_t mask = 0x0000FFFF;
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    const std::uint32_t other = __shfl_xor_sync(kWholeWarp, row, step);
    row = (lane_id() & step) == 0 ? (row & mask) | (other & mask) << step
                                  : (row & ~mask) | (other & ~mask) >> step;
    mask ^= mask << (step / 2);
  }
  return row;
}

/// The two lines of a lane in a tile, as bits of the other side in natural order: rows lane and
/// lane + 32, or the columns of bits lane and lane + 32.
struct TileLines {
  std::uint64_t first;
  std::uint64_t second;
};

template <bool kColumns>
__device__ TileLines tile_lines(const std::uint64_t* tile) {
  const std::uint64_t first = tile[lane_id()];
  const std::uint64_t second = tile[lane_id() + kWarpLanes];
  if (!kColumns) return {to_natural_order(first), to_natural_order(second)};
  const auto low = [](std::uint64_t word) { return static_cast<std::uint32_t>(word); };
  const auto high = [](std::uint64_t word) { return static_cast<std::uint32_t>(word >> 32); };
  return {std::uint64_t{transpose(low(second))} << 32 | transpose(low(first)),
          std::uint64_t{transpose(high(second))} << 32 | transpose(high(first))};
}

/// A warp's tile row or tile column, when the graph's lists are made of its mask.
template <bool kColumns>
struct MaskLine {
  std::int64_t graph;
  std::int32_t lines;  ///< queries or keys
  std::int32_t tiles;  ///< across
  std::int32_t of[2];  ///< the lane's lines
  const std::uint64_t* words;
  std::int64_t stride;  ///< words between neighbouring tiles
  bool used;

  __device__ explicit MaskLine(const SamplingCall& call) {
    const std::int64_t warp = std::int64_t{blockIdx.x} * kWarps + warp_id();
    const std::int32_t along = kColumns ? call.key_tiles : call.row_tiles;
    graph = warp / along;
    const auto tile = static_cast<std::int32_t>(warp % along);
    lines = kColumns ? call.keys : call.queries;
    tiles = kColumns ? call.row_tiles : call.key_tiles;
    for (int i = 0; i < 2; ++i) {
      const int bit = lane_id() + i * kWarpLanes;
      of[i] = tile * kMaskTile + (kColumns ? bit_to_column(bit) : bit);
    }
    used = graph < call.graphs && call.kinds[graph] == GraphKind::kBitLists;
    const std::int64_t first = kColumns ? tile : std::int64_t{tile} * call.key_tiles;
    words = call.out.mask + graph * call.graph_words() + first * kMaskTile;
    stride = (kColumns ? std::int64_t{call.key_tiles} : 1) * kMaskTile;
  }
};

template <bool kColumns>
__global__ void __launch_bounds__(kThreads) count_masks(const SamplingCall call) {
  const MaskLine<kColumns> line(call);
  if (!line.used) return;
  std::uint32_t counts[2] = {};
  for (std::int32_t tile = 0; tile < line.tiles; ++tile) {
    const TileLines bits = tile_lines<kColumns>(line.words + tile * line.stride);
    counts[0] += static_cast<std::uint32_t>(__popcll(bits.first));
    counts[1] += static_cast<std::uint32_t>(__popcll(bits.second));
  }
  std::uint32_t* to = kColumns ? call.edges.column_counts : call.edges.row_counts;
  for (int i = 0; i < 2; ++i) {
    if (line.of[i] < line.lines) to[line.graph * line.lines + line.of[i]] = counts[i];
  }
}

template <bool kColumns>
__global__ void __launch_bounds__(kThreads) fill_masks(const SamplingCall call) {
  const MaskLine<kColumns> line(call);
  if (!line.used) return;
  const SampledLists& lists = call.edges.lists;
  const std::uint32_t* offsets = (kColumns ? lists.column_offsets : lists.row_offsets) +
                                 line.graph * (line.lines + std::int64_t{1});
  std::uint16_t* to[2];
  for (int i = 0; i < 2; ++i) {
    // A line beyond the last has no bits.
    const std::uint32_t offset = line.of[i] < line.lines ? offsets[line.of[i]] : 0;
    to[i] = (kColumns ? lists.rows : lists.columns) + line.graph * lists.capacity + offset;
  }
  for (std::int32_t tile = 0; tile < line.tiles; ++tile) {
    const TileLines bits = tile_lines<kColumns>(line.words + tile * line.stride);
    const std::int32_t first = tile * kMaskTile;
    for (int i = 0; i < 2; ++i) {
      for (std::uint64_t rest = i == 0 ? bits.first : bits.second; rest != 0; rest &= rest - 1) {
        *to[i]++ = static_cast<std::uint16_t>(first + __ffsll(static_cast<long long>(rest)) - 1);
      }
    }
  }
}

/// A group's row of a row-listed graph.
struct ListedRow {
  std::uint32_t count;
  std::uint32_t start;

  __device__ ListedRow(const ListBuild& build, std::int64_t place)
      : count(build.row_counts[place]), start(build.row_starts[place]) {}
};

__global__ void __launch_bounds__(kThreads)
    count_columns(const SamplingCall call, const bool probes) {
  const ListBuild& build = probes ? call.probes : call.edges;
  for (GroupWork work(call.queries); work.graph() < call.graphs; work.next += work.step) {
    const std::int64_t graph = work.graph();
    if (!is_listed_by_rows(call.kinds[graph], probes) || work.line() >= call.queries) continue;
    const ListedRow row(build, graph * call.queries + work.line());
    // The graph does not fit: nothing will be made of it.
    if (std::int64_t{row.start} + row.count > build.lists.capacity) continue;
    const std::uint16_t* columns = build.lists.rows + graph * build.lists.capacity + row.start;
    for (std::uint32_t i = static_cast<std::uint32_t>(group_lane()); i < row.count;
         i += kGroupLanes) {
      atomicAdd(build.column_counts + graph * call.keys + columns[i], 1U);
    }
  }
}

/// Exclusive sums of `counts` to `offsets`, and their total at the end; by a block. Returns it.
__device__ std::uint64_t scan_lines(const std::uint32_t* counts, std::int32_t lines,
                                    std::uint32_t* offsets, std::uint64_t* warp_sums) {
  std::uint64_t before = 0;
  for (std::int32_t first = 0; first < lines; first += kThreads) {
    const std::int32_t line = first + static_cast<std::int32_t>(threadIdx.x);
    const std::uint64_t count = line < lines ? counts[line] : 0;
    std::uint64_t through = lanes_scan<kWarpLanes>(count);
    if (lane_id() == kWarpLanes - 1) warp_sums[warp_id()] = through;
    __syncthreads();
    std::uint64_t all = 0;
    for (int warp = 0; warp < kWarps; ++warp) {
      if (warp < warp_id()) through += warp_sums[warp];
      all += warp_sums[warp];
    }
    __syncthreads();
    if (line < lines) offsets[line] = static_cast<std::uint32_t>(before + through - count);
    before += all;
  }
  if (threadIdx.x == 0) offsets[lines] = static_cast<std::uint32_t>(before);
  return before;
}

__global__ void __launch_bounds__(kThreads)
    scan_counts(const SamplingCall call, const bool probes) {
  SBM_SHARED_ARRAY(std::uint64_t, warp_sums, kWarps);
  const std::int64_t graph = blockIdx.x;
  const GraphKind kind = call.kinds[graph];
  if (kind != GraphKind::kBitLists && kind != GraphKind::kRowLists) return;
  const ListBuild& build = probes ? call.probes : call.edges;
  const SampledLists& lists = build.lists;
  const std::uint64_t total =
      scan_lines(build.row_counts + graph * call.queries, call.queries,
                 lists.row_offsets + graph * (call.queries + std::int64_t{1}), warp_sums);
  if (total > static_cast<std::uint64_t>(lists.capacity)) {
    if (threadIdx.x == 0) {
      call.kinds[graph] = kind == GraphKind::kRowLists ? GraphKind::kOverflown : GraphKind::kDense;
    }
    return;
  }
  scan_lines(build.column_counts + graph * call.keys, call.keys,
             lists.column_offsets + graph * (call.keys + std::int64_t{1}), warp_sums);
}

__global__ void __launch_bounds__(kThreads) copy_rows(const SamplingCall call, const bool probes) {
  const ListBuild& build = probes ? call.probes : call.edges;
  for (GroupWork work(call.queries); work.graph() < call.graphs; work.next += work.step) {
    const std::int64_t graph = work.graph();
    if (!is_listed_by_rows(call.kinds[graph], probes) || work.line() >= call.queries) continue;
    const ListedRow row(build, graph * call.queries + work.line());
    const std::int64_t list = graph * build.lists.capacity;
    const std::uint32_t offset =
        build.lists.row_offsets[graph * (call.queries + std::int64_t{1}) + work.line()];
    for (std::uint32_t i = static_cast<std::uint32_t>(group_lane()); i < row.count;
         i += kGroupLanes) {
      build.lists.columns[list + offset + i] = build.lists.rows[list + row.start + i];
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    scatter_columns(const SamplingCall call, const bool probes) {
  const ListBuild& build = probes ? call.probes : call.edges;
  for (GroupWork work(call.queries); work.graph() < call.graphs; work.next += work.step) {
    const std::int64_t graph = work.graph();
    if (!is_listed_by_rows(call.kinds[graph], probes) || work.line() >= call.queries) continue;
    const std::int64_t list = graph * build.lists.capacity;
    const std::uint32_t* offsets =
        build.lists.row_offsets + graph * (call.queries + std::int64_t{1}) + work.line();
    for (std::uint32_t i = offsets[0] + static_cast<std::uint32_t>(group_lane()); i < offsets[1];
         i += kGroupLanes) {
      const std::uint16_t key = build.lists.columns[list + i];
      // The counts go down to 0: a column's last free place.
      const std::uint32_t place =
          atomicAdd(build.column_counts + graph * call.keys + key, 0xFFFFFFFFU) - 1;
      const std::uint32_t offset =
          build.lists.column_offsets[graph * (call.keys + std::int64_t{1}) + key];
      build.lists.rows[list + offset + place] = static_cast<std::uint16_t>(work.line());
    }
  }
}

__global__ void __launch_bounds__(kMostGroupThreads)
    sort_columns(const SamplingCall call, const bool probes) {
  SBM_DYNAMIC_SHARED(unsigned char, shared);
  const int group = static_cast<int>(threadIdx.x) / kGroupLanes;
  OrderedSet set(
      reinterpret_cast<std::uint32_t*>(shared + std::int64_t{group} * set_bytes(call.queries)),
      call.queries);
  set.clear();
  __syncwarp();
  const ListBuild& build = probes ? call.probes : call.edges;
  for (GroupWork work(call.keys); work.graph() < call.graphs; work.next += work.step) {
    const std::int64_t graph = work.graph();
    if (!is_listed_by_rows(call.kinds[graph], probes)) continue;
    const std::uint32_t* offsets =
        build.lists.column_offsets + graph * (call.keys + std::int64_t{1}) + work.line();
    const bool inside = work.line() < call.keys;
    const std::uint32_t begin = inside ? offsets[0] : 0;
    const std::uint32_t end = inside ? offsets[1] : 0;
    std::uint16_t* rows = build.lists.rows + graph * build.lists.capacity;
    for (std::uint32_t i = begin + static_cast<std::uint32_t>(group_lane()); i < end;
         i += kGroupLanes) {
      set.insert(rows[i]);
    }
    __syncwarp();
    const std::uint32_t mine = set.count();
    const std::uint32_t through = lanes_scan<kGroupLanes>(mine);
    set.drain(rows + begin + through - mine);
    __syncwarp();
  }
}

/// Launches a kernel with eight lanes a line.
template <class Kernel>
Status launch_groups(const Kernel& kernel, const SamplingCall& call, std::int32_t lines,
                     bool probes, cudaStream_t stream) {
  const std::int64_t works = group_works(call, lines);
  if (works == 0) return {};
  return launch(kernel, dim3(blocks_for(works, kWarps)), dim3(kThreads), 0, stream, call, probes);
}

/// Launches a kernel with a warp a tile row or a tile column.
template <class Kernel>
Status launch_tiles(const Kernel& kernel, const SamplingCall& call, std::int32_t tiles,
                    cudaStream_t stream) {
  const std::int64_t works = std::int64_t{call.graphs} * tiles;
  if (works == 0) return {};
  return launch(kernel, dim3(blocks_for(works, kWarps)), dim3(kThreads), 0, stream, call);
}

Status launch_sort(const SamplingCall& call, bool probes, cudaStream_t stream) {
  const std::int64_t works = group_works(call, call.keys);
  if (works == 0) return {};
  const auto bytes = static_cast<std::size_t>(set_bytes(call.queries));
  const int warps = warps_for(bytes);
  return launch(sort_columns, dim3(blocks_for(works, warps)),
                dim3(static_cast<unsigned>(warps * kWarpLanes)),
                bytes * static_cast<std::size_t>(warps * kWarpGroups), stream, call, probes);
}

}  // namespace

Status finish_lists(const SamplingCall& call, bool probes, cudaStream_t stream) {
  if (Status status = launch_groups(count_columns, call, call.queries, probes, stream);
      !status.ok()) {
    return status;
  }
  if (Status status = launch(scan_counts, dim3(static_cast<unsigned>(call.graphs)), dim3(kThreads),
                             0, stream, call, probes);
      !status.ok()) {
    return status;
  }
  if (Status status = launch_groups(copy_rows, call, call.queries, probes, stream); !status.ok()) {
    return status;
  }
  if (Status status = launch_groups(scatter_columns, call, call.queries, probes, stream);
      !status.ok()) {
    return status;
  }
  return launch_sort(call, probes, stream);
}

Status build_edge_lists(const SamplingCall& call, cudaStream_t stream) {
  if (Status status = launch_tiles(count_masks<false>, call, call.row_tiles, stream);
      !status.ok()) {
    return status;
  }
  if (Status status = launch_tiles(count_masks<true>, call, call.key_tiles, stream); !status.ok()) {
    return status;
  }
  if (Status status = finish_lists(call, false, stream); !status.ok()) return status;
  if (Status status = launch_tiles(fill_masks<false>, call, call.row_tiles, stream); !status.ok()) {
    return status;
  }
  return launch_tiles(fill_masks<true>, call, call.key_tiles, stream);
}

}  // namespace sbm::kernels::cuda
