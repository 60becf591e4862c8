// The first branch of docs/sampler.md, section 6: every cell's threshold against its uniform, as
// mask bits.
//
// A block of 128 has 128 rows and up to 256 keys of a graph; its keys lie in shared memory, and
// each of its warps takes strips of 16 rows along them. P of 16 x 64 cells is four m16n8k32 for
// each 32 clusters and 8 keys; a lane then owns 32 cells, whose upper halves are four Philox calls,
// and writes 16 bits of each of its two rows.
// Shared memory: keys x K x 2 bytes, 16 KiB at K = 32, 32 KiB from K = 64 on, and 3 KiB.
// Bound for K = 32: 128 MMAs, 4 x 32 calls of 4.5 rounds and about 12 instructions a cell, so
// the integer pipe, at .1 clocks a cell of an SM.

#include "kernels/cuda/sampling_cells.cuh"
#include "kernels/cuda/sampling_kernels.h"
#include "kernels/cuda/sampling_warp.cuh"
#include "kernels/sampler_counters.h"
#include "kernels/sampler_quantize.h"
#include "kernels/sampler_stream.h"
#include "kernels/sampler_threshold.h"

namespace sbm::kernels::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kWarpLanes;
constexpr int kBlocksPerSm = 3;
constexpr int kStripRows = 16;
constexpr int kBlockRows = 128;
constexpr int kMostKeyTiles = 4;
constexpr int kHalfFragments = 4;  ///< of 8 keys, in half a tile: the cells of a Philox call
/// Blocks for the graphs that did not fit, of which there are hardly ever any.
constexpr unsigned kOverflowBlocks = 264;

/// How the work is cut.
struct CellsGrid {
  std::int32_t key_tiles;   ///< of a block
  std::int32_t key_blocks;  ///< along the keys
  std::int32_t row_blocks;

  SBM_HOST_DEVICE explicit CellsGrid(const SamplingCall& call)
      : key_tiles(call.units <= 8 ? 4 : (call.units <= 16 ? 2 : 1)),
        key_blocks((call.key_tiles + key_tiles - 1) / key_tiles),
        row_blocks((call.queries + kBlockRows - 1) / kBlockRows) {}
  SBM_HOST_DEVICE std::int64_t graph_blocks() const {
    return std::int64_t{key_blocks} * row_blocks;
  }
  SBM_HOST_DEVICE std::size_t shared_bytes(const SamplingCall& call) const {
    return static_cast<std::size_t>(key_tiles) * kMaskTile * static_cast<std::size_t>(call.units) *
           sizeof(EntryBytes);
  }
};

/// A lane's cells of one row of a tile: bit 2 t + e is column 8 t + 2 quad_lane + e.
struct LaneBits {
  std::uint32_t sure = 0;   ///< edges whatever the lower half of the uniform
  std::uint32_t maybe = 0;  ///< and those that the lower half decides
};

/// T of a cell; `kShifted`: R + e_j is never negative.
template <bool kShifted, MaskLaw kLaw>
__device__ __forceinline__ std::uint32_t threshold_of(std::uint32_t accumulator, int shift,
                                                      std::uint32_t exploration) {
  const std::uint32_t probability =
      kShifted ? accumulator >> shift : probability_units(accumulator, shift);
  if constexpr (kLaw == MaskLaw::kBernoulli) {
    // What edge_threshold() gives, without its 64-bit sum.
    const std::uint32_t sum = probability + exploration;
    return sum < probability ? kLargestThreshold : sum;
  }
  return edge_threshold(kLaw, probability, exploration);
}

/// One half of a tile: a lane's 8 cells of each of two rows. `keys` and `exponents` are those of
/// the half, `weights` the lane's units of its two rows.
template <bool kOneStep, bool kShifted, MaskLaw kLaw>
__device__ __forceinline__ void draw_half(const EntryBytes* keys, const int* exponents,
                                          const EntryBytes* upper, const EntryBytes* lower,
                                          int steps, const int (&row_exponents)[2],
                                          std::uint32_t exploration, const PhiloxBlock (&words)[2],
                                          LaneBits (&bits)[2]) {
  const int group = lane_id() / 4;
  const int quad_lane = lane_id() % 4;
  // Fragments at a time: more share a load of W, fewer leave registers to more warps.
  constexpr int kTogether = kOneStep ? 1 : 2;
#pragma unroll
  for (int first = 0; first < kHalfFragments; first += kTogether) {
    CellFragment fragments[kTogether];
#pragma unroll 1
    for (int step = 0; step < (kOneStep ? 1 : steps); ++step) {
      const EntryBytes w_upper = upper[step * kStepUnits];
      const EntryBytes w_lower = lower[step * kStepUnits];
#pragma unroll
      for (int f = 0; f < kTogether; ++f) {
        // [steps][64 keys][4 units]
        const int key = step * kMaskTile + 8 * (first + f) + group;
        fragments[f].add(w_upper, w_lower, keys[key * kStepUnits + quad_lane]);
      }
    }
#pragma unroll
    for (int f = 0; f < kTogether; ++f) {
      const int t = first + f;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int shift = row_exponents[i / 2] + exponents[8 * t + 2 * quad_lane + i % 2];
        const std::uint32_t threshold =
            threshold_of<kShifted, kLaw>(fragments[f].accumulator(i), shift, exploration);
        const std::uint32_t word = words[i / 2][static_cast<std::size_t>(t)];
        // The uniform with a lower half of 0.
        const std::uint32_t least = i % 2 == 0 ? word << 16 : word & 0xFFFF0000;
        const std::uint32_t bit = 1U << (2 * t + i % 2);
        if (threshold > least) bits[i / 2].maybe |= bit;
        if (threshold > (least | 0xFFFF)) bits[i / 2].sure |= bit;
      }
    }
  }
}

/// A lane's row where cells tie. By value: a call that takes an address would put it on the stack.
struct TiedRow {
  const EntryBytes* weights;
  const EntryBytes* keys;
  const std::uint8_t* key_exponents;
  PhiloxKey stream;
  std::int32_t key_count;
  int units;
  int exponent;
  std::uint32_t exploration;
  std::uint32_t number;
};

/// Decides the cells whose upper halves tie with their thresholds', by one thread.
template <MaskLaw kLaw>
__device__ __forceinline__ std::uint32_t settle_ties(const TiedRow row, std::int32_t first_key,
                                                     std::uint32_t ties) {
  std::uint32_t edges = 0;
  for (; ties != 0; ties &= ties - 1) {
    const int bit = __ffs(static_cast<int>(ties)) - 1;
    const std::int32_t key = first_key + (bit >> 1) * 8 + (bit & 1);
    if (key >= row.key_count) continue;
    const std::uint32_t accumulator =
        cell_accumulator(row.weights, row.keys + std::int64_t{key} * row.units, row.units);
    const std::uint32_t probability =
        probability_units(accumulator, row.exponent + row.key_exponents[key]);
    const std::uint32_t threshold = edge_threshold(kLaw, probability, row.exploration);
    if (low_bits(row.stream, row.number, static_cast<std::uint32_t>(key)) < (threshold & 0xFFFF)) {
      edges |= 1U << bit;
    }
  }
  return edges;
}

/// The keys of a block, from global memory.
struct KeyTiles {
  EntryBytes* entries;   ///< [tiles][steps][64][4]
  int* exponents;        ///< [tiles][64]
  std::uint64_t* valid;  ///< [tiles], in mask order
};

__device__ void load_keys(const SamplingCall& call, std::int64_t graph, std::int32_t first_tile,
                          std::int32_t tiles, const KeyTiles& to) {
  const EntryBytes zero{};
  const int tile_units = kMaskTile * call.units;
  for (int i = static_cast<int>(threadIdx.x); i < tiles * tile_units; i += kThreads) {
    const int tile = i / tile_units;
    const int key = i % tile_units / call.units;
    const int unit = i % call.units;
    const std::int32_t number = (first_tile + tile) * kMaskTile + key;
    const int place =
        ((tile * (call.units / kStepUnits) + unit / kStepUnits) * kMaskTile + key) * kStepUnits +
        unit % kStepUnits;
    to.entries[place] = number < call.keys ? call.key_row(graph, number)[unit] : zero;
  }
  const std::uint64_t* bits = call.key_bits + graph / call.heads * call.key_tiles + first_tile;
  for (int i = static_cast<int>(threadIdx.x); i < tiles * kMaskTile; i += kThreads) {
    const std::int64_t number = std::int64_t{first_tile} * kMaskTile + i;
    // Padding must not need the slower form.
    const bool valid = (bits[i / kMaskTile] >> (i % kMaskTile) & 1) != 0;
    to.exponents[i] =
        valid ? call.out.key_exponents[graph * call.keys + number] : kLargestMembershipExponent;
  }
  for (int i = static_cast<int>(threadIdx.x); i < tiles; i += kThreads) {
    to.valid[i] = to_mask_order(bits[i]);
  }
}

/// A lane's two rows of a strip.
struct StripRows {
  std::int32_t numbers[2];
  int exponents[2];
  bool drawn[2];   ///< takes the first branch
  bool forced[2];  ///< has a forced diagonal cell, if the key is valid
  const EntryBytes* weights[2];
};

template <MaskLaw kLaw, bool kOneStep>
__device__ std::uint32_t draw_strip(const SamplingCall& call, std::int64_t graph,
                                    const StripRows& rows, bool any_drawn, bool shifted,
                                    const KeyTiles& keys, std::int32_t first_tile,
                                    std::int32_t tiles, PhiloxKey stream) {
  const int quad_lane = lane_id() % 4;
  const int steps = call.units / kStepUnits;
  const RoundKeys round_keys(stream);
  RowStream streams[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    streams[r] = RowStream(round_keys, static_cast<std::uint32_t>(rows.numbers[r]));
  }
  std::uint32_t drawn_edges = 0;
#pragma unroll 1
  for (std::int32_t tile = 0; tile < tiles; ++tile) {
    const std::int32_t number = first_tile + tile;
    LaneBits bits[2];
    if (any_drawn) {
      const EntryBytes* entries = keys.entries + tile * kMaskTile * call.units;
      const int* exponents = keys.exponents + tile * kMaskTile;
#pragma unroll 1
      for (int half = 0; half < 2; ++half) {
        const auto index = static_cast<std::uint32_t>(8 * number + 4 * half + quad_lane);
        const std::uint64_t product = call_product(stream, index);
        PhiloxBlock words[2];
#pragma unroll
        for (int r = 0; r < 2; ++r) words[r] = stream_block(round_keys, streams[r], product);
        const EntryBytes* half_entries = entries + half * (kMaskTile / 2) * kStepUnits;
        const int* half_exponents = exponents + half * (kMaskTile / 2);
        LaneBits half_bits[2];
        if (shifted) {
          draw_half<kOneStep, true, kLaw>(half_entries, half_exponents, rows.weights[0],
                                          rows.weights[1], steps, rows.exponents, call.exploration,
                                          words, half_bits);
        } else {
          draw_half<kOneStep, false, kLaw>(half_entries, half_exponents, rows.weights[0],
                                           rows.weights[1], steps, rows.exponents, call.exploration,
                                           words, half_bits);
        }
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          bits[r].sure |= half_bits[r].sure << (8 * half);
          bits[r].maybe |= half_bits[r].maybe << (8 * half);
        }
      }
    }
    const auto valid = static_cast<std::uint32_t>(keys.valid[tile] >> (16 * quad_lane) & 0xFFFF);
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      std::uint32_t edges = rows.drawn[r] ? bits[r].sure & valid : 0;
      const std::uint32_t ties = rows.drawn[r] ? bits[r].maybe & ~bits[r].sure & valid : 0;
      if (ties != 0) {
        const TiedRow tied{rows.weights[r] - quad_lane,
                           call.key_row(graph, 0),
                           call.out.key_exponents + graph * call.keys,
                           stream,
                           call.keys,
                           call.units,
                           rows.exponents[r],
                           call.exploration,
                           static_cast<std::uint32_t>(rows.numbers[r])};
        edges |= settle_ties<kLaw>(tied, number * kMaskTile + 2 * quad_lane, ties);
      }
      const std::int32_t diagonal = rows.numbers[r] - number * kMaskTile;
      std::uint32_t forced = 0;
      if (call.self_loops != SelfLoops::kNone && diagonal >= 0 && diagonal < kMaskTile &&
          (diagonal >> 1) % 4 == quad_lane) {
        const std::uint32_t bit = 1U << ((diagonal >> 3) * 2 + (diagonal & 1));
        edges &= ~bit;
        if (call.self_loops == SelfLoops::kAdd && rows.forced[r]) forced = bit & valid;
      }
      drawn_edges += static_cast<std::uint32_t>(__popc(edges));
      const std::int64_t word =
          graph * call.graph_words() +
          (std::int64_t{rows.numbers[r] / kMaskTile} * call.key_tiles + number) * kMaskTile +
          rows.numbers[r] % kMaskTile;
      reinterpret_cast<std::uint16_t*>(call.out.mask + word)[quad_lane] =
          static_cast<std::uint16_t>(edges | forced);
    }
  }
  return drawn_edges;
}

template <MaskLaw kLaw, bool kOneStep>
__global__ void __launch_bounds__(kThreads, kBlocksPerSm)
    draw_tiles(const SamplingCall call, const bool overflown) {
  SBM_DYNAMIC_SHARED(EntryBytes, entries);
  SBM_SHARED_ARRAY(int, exponents, kMostKeyTiles* kMaskTile);
  SBM_SHARED_ARRAY(std::uint64_t, valid, kMostKeyTiles);
  const KeyTiles keys{entries, exponents, valid};
  const CellsGrid grid(call);
  const std::int64_t graphs = overflown ? *call.overflown_count : call.graphs;
  for (std::int64_t work = blockIdx.x; work < graphs * grid.graph_blocks(); work += gridDim.x) {
    const std::int64_t place = work / grid.graph_blocks();
    const std::int64_t graph = overflown ? call.overflown[place] : place;
    const auto block = static_cast<std::int32_t>(work % grid.graph_blocks());
    const std::int32_t first_tile = block % grid.key_blocks * grid.key_tiles;
    const std::int32_t tiles =
        call.key_tiles - first_tile < grid.key_tiles ? call.key_tiles - first_tile : grid.key_tiles;
    const std::int32_t first_row = block / grid.key_blocks * kBlockRows;
    const bool whole = call.kinds[graph] != GraphKind::kRowLists;
    if (!whole) {
      // Without a row of the first branch there is nothing to do.
      const std::int64_t row_tile = graph * call.row_tiles + first_row / kMaskTile;
      std::uint32_t cell_rows = call.tile_cell_rows[row_tile];
      if (first_row + kMaskTile < call.queries) cell_rows += call.tile_cell_rows[row_tile + 1];
      if (cell_rows == 0) continue;
    }
    load_keys(call, graph, first_tile, tiles, keys);
    __syncthreads();
    std::uint32_t drawn_edges = 0;
    const PhiloxKey stream = call.mask_keys[graph];
    // Masks have whole tiles.
    const std::int32_t rows_end = call.row_tiles * kMaskTile;
    for (std::int32_t strip = first_row + warp_id() * kStripRows;
         strip < first_row + kBlockRows && strip < rows_end; strip += kWarps * kStripRows) {
      StripRows rows;
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const std::int32_t row = strip + lane_id() / 4 + 8 * r;
        const bool inside = row < call.queries;
        const std::int64_t place_of_row = graph * call.queries + (inside ? row : 0);
        const std::uint32_t factor = inside ? call.row_factors[place_of_row] : kEmptyRow;
        rows.numbers[r] = row;
        rows.drawn[r] = factor == kCellRow;
        rows.forced[r] = factor != kEmptyRow;
        // A row that is not drawn must not need the slower form.
        rows.exponents[r] = rows.drawn[r] ? call.out.row_exponents[place_of_row] : 0;
        rows.weights[r] = call.out.weights + place_of_row * call.units + lane_id() % 4;
      }
      const bool any_drawn = __any_sync(kWholeWarp, rows.drawn[0] || rows.drawn[1]);
      if (!any_drawn && !whole) continue;
      const int least = call.least_exponents[graph];
      const bool shifted =
          __all_sync(kWholeWarp, rows.exponents[0] + least >= 0 && rows.exponents[1] + least >= 0);
      drawn_edges += draw_strip<kLaw, kOneStep>(call, graph, rows, any_drawn, shifted, keys,
                                                first_tile, tiles, stream);
    }
    drawn_edges = lanes_sum(drawn_edges);
    if (lane_id() == 0 && drawn_edges != 0 && !overflown) {
      atomicAdd(reinterpret_cast<unsigned long long*>(call.out.edge_counts + 3 * graph),
                static_cast<unsigned long long>(drawn_edges));
    }
    __syncthreads();
  }
}

}  // namespace

Status draw_cells(const SamplingCall& call, bool overflown, cudaStream_t stream) {
  const CellsGrid grid(call);
  const std::int64_t blocks = call.graphs * grid.graph_blocks();
  if (blocks == 0) return {};
  constexpr std::int64_t kMostBlocks = 0x7FFFFFFF;
  const auto size = static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks);
  const dim3 shape(overflown && size > kOverflowBlocks ? kOverflowBlocks : size);
  const bool one_step = call.units == kStepUnits;
  const bool poisson = call.law == MaskLaw::kPoisson;
  const auto kernel =
      poisson
          ? (one_step ? draw_tiles<MaskLaw::kPoisson, true> : draw_tiles<MaskLaw::kPoisson, false>)
          : (one_step ? draw_tiles<MaskLaw::kBernoulli, true>
                      : draw_tiles<MaskLaw::kBernoulli, false>);
  return launch(kernel, shape, dim3(kThreads), grid.shared_bytes(call), stream, call, overflown);
}

}  // namespace sbm::kernels::cuda
