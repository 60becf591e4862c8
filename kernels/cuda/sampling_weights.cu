// W = Qhat S with its exponents, and what each row will be (docs/sampler.md, sections 4 and 8).
//
// A block of 128 has 64 rows of a graph, a warp 16 of them. The warp quantises its queries to bytes
// in shared memory, multiplies them with the columns of S (from L2) by m16n8k32, exactly, and
// re-quantises row after row, its lanes along the clusters.
// Shared memory, with K = clusters rounded up to 32: 4 warps x 16 rows x (2 K + 4 (K + 4)) bytes
// and 12 K for the keys' totals: 14 KiB at K = 32, 50 KiB at 128, 100 KiB at 256.
// Bound: 4 (K / 32) MMAs for 128 sums of W', and about 60 instructions a row for 32 clusters.

#include "kernels/cuda/sampling_cells.cuh"
#include "kernels/cuda/sampling_kernels.h"
#include "kernels/cuda/sampling_quantize.cuh"
#include "kernels/cuda/sampling_warp.cuh"
#include "kernels/sampler_process.h"

namespace sbm::kernels::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kWarpLanes;
constexpr int kWarpRows = kMaskTile / kWarps;
static_assert(kWarpRows == 16);
/// Beside each row of products, so that the rows of a fragment lie in different banks.
constexpr int kProductPadding = 4;

/// How the dynamic shared memory is cut.
struct SharedLayout {
  int padded;  ///< clusters, rounded up to steps

  SBM_HOST_DEVICE explicit SharedLayout(int units) : padded(units * kUnitEntries) {}
  SBM_HOST_DEVICE int product_stride() const { return padded + kProductPadding; }
  SBM_HOST_DEVICE int query_bytes() const { return kMaskTile * padded * 2; }
  SBM_HOST_DEVICE int product_bytes() const { return kMaskTile * product_stride() * 4; }
  SBM_HOST_DEVICE int bytes() const { return query_bytes() + product_bytes() + padded * 12; }
};

/// One row of W' to W: returns R. `entries` are the lane's of W' and become those of W.
__device__ int requantize_row(LaneEntries<std::uint32_t>& entries,
                              const LaneEntries<int>& exponents, int query_exponent, int clusters) {
  constexpr int kNone = -1000;
  int level = kNone;
#pragma unroll
  for (int i = 0; i < kMostSteps; ++i) {
    if (entries.of[i] == 0) continue;
    const int bits = kWarpLanes - __clz(static_cast<int>(entries.of[i])) - exponents.of[i];
    if (bits > level) level = bits;
  }
  level = warp_max(level);
  if (level == kNone) return 0;
  int exponent = 15 - level < 32 - query_exponent ? 15 - level : 32 - query_exponent;
  for (;; --exponent) {
    std::uint32_t sum = 0;
    std::uint32_t largest = 0;
#pragma unroll
    for (int i = 0; i < kMostSteps; ++i) {
      const std::uint32_t value = scale_by_power(entries.of[i], exponent - exponents.of[i]);
      sum += value;
      if (value > largest) largest = value;
    }
    sum = lanes_sum(sum) + static_cast<std::uint32_t>(clusters);
    if (warp_max(largest) <= kLargestCarriedEntry && sum <= kLargestWeightSum) break;
  }
#pragma unroll
  for (int i = 0; i < kMostSteps; ++i) {
    entries.of[i] = scale_by_power(entries.of[i], exponent - exponents.of[i] + kCarryBits);
  }
  round_carried(entries);
  return query_exponent + exponent - 32;
}

__global__ void __launch_bounds__(kThreads) weigh_tiles(const SamplingCall call) {
  SBM_DYNAMIC_SHARED(unsigned char, shared);
  SBM_SHARED_ARRAY(std::uint64_t, expected_sums, kWarps);
  SBM_SHARED_ARRAY(std::uint32_t, cell_rows, kWarps);
  const SharedLayout layout(call.units);
  auto* const queries = reinterpret_cast<EntryBytes*>(shared);
  auto* const products = reinterpret_cast<std::uint32_t*>(shared + layout.query_bytes());
  auto* const totals =
      reinterpret_cast<std::uint64_t*>(shared + layout.query_bytes() + layout.product_bytes());
  auto* const largest = reinterpret_cast<std::uint32_t*>(totals + layout.padded);

  const std::int64_t graph = blockIdx.x / static_cast<std::uint32_t>(call.row_tiles);
  const auto tile =
      static_cast<std::int32_t>(blockIdx.x % static_cast<std::uint32_t>(call.row_tiles));
  const std::int64_t batch = graph / call.heads;
  const std::int64_t head = graph % call.heads;
  for (int c = static_cast<int>(threadIdx.x); c < layout.padded; c += kThreads) {
    const bool inside = c < call.clusters;
    totals[c] = inside ? call.sums(graph, c)[call.strips()] : 0;
    largest[c] = inside ? call.largest[graph * call.clusters + c] : 0;
  }
  const std::uint64_t valid = call.query_bits[batch * call.row_tiles + tile];
  const std::uint32_t valid_keys = call.keys_before[batch * (call.key_tiles + 1) + call.key_tiles];
  const int least = valid_keys > 0 ? call.least_exponents[graph] : 0;
  const KeyScale scale{valid_keys, least, proposal_scale_bits(valid_keys)};
  __syncthreads();

  const int first = warp_id() * kWarpRows;
  const std::int32_t first_row = tile * kMaskTile + first;
  int query_exponent = 0;  // that of row first + lane
  for (int r = 0; r < kWarpRows; ++r) {
    const std::int64_t row = graph * call.queries + first_row + r;
    const bool is_valid = (valid >> (first + r) & 1) != 0;
    const int exponent =
        quantize_row(is_valid ? call.query_membership + row * call.clusters : nullptr,
                     call.clusters, queries + (first + r) * call.units, call.out.invalid_values);
    if (lane_id() == r) query_exponent = exponent;
  }
  __syncwarp();

  const int group = lane_id() / 4;
  const int quad_lane = lane_id() % 4;
  const EntryBytes* const upper = queries + (first + group) * call.units + quad_lane;
  const EntryBytes* const lower = upper + 8 * call.units;
  for (int column = 0; column < layout.padded; column += 8) {
    const EntryBytes* const block =
        call.block_columns + ((head * layout.padded) + column + group) * call.units + quad_lane;
    CellFragment fragment;
    for (int unit = 0; unit < call.units; unit += kStepUnits) {
      fragment.add(upper[unit], lower[unit], block[unit]);
    }
    std::uint32_t* const to =
        products + (first + group) * layout.product_stride() + column + 2 * quad_lane;
    to[0] = fragment.accumulator(0);
    to[1] = fragment.accumulator(1);
    to[8 * layout.product_stride()] = fragment.accumulator(2);
    to[8 * layout.product_stride() + 1] = fragment.accumulator(3);
  }
  __syncwarp();

  const int steps = entry_steps(call.clusters);
  LaneEntries<int> block_exponents;
#pragma unroll
  for (int i = 0; i < kMostSteps; ++i) {
    const int c = lane_id() * steps + i;
    block_exponents.of[i] = i < steps ? call.block_exponents[head * layout.padded + c] : 0;
  }
  std::uint64_t expected = 0;
  std::uint32_t cells = 0;
  for (int r = 0; r < kWarpRows; ++r) {
    const std::int32_t in_graph = first_row + r;
    if (in_graph >= call.queries) break;
    const std::int64_t row = graph * call.queries + in_graph;
    const std::uint32_t* const from = products + (first + r) * layout.product_stride();
    LaneEntries<std::uint32_t> entries;
#pragma unroll
    for (int i = 0; i < kMostSteps; ++i) {
      entries.of[i] = i < steps ? from[lane_id() * steps + i] : 0;
    }
    const int exponent = requantize_row(entries, block_exponents,
                                        __shfl_sync(kWholeWarp, query_exponent, r), call.clusters);
    store_entries(entries, steps, lane_id(), call.out.weights + row * call.units);

    RowTotals sums;
#pragma unroll
    for (int i = 0; i < kMostSteps; ++i) {
      if (i >= steps) continue;
      const std::uint64_t weight = entries.of[i];
      sums.total += weight * totals[lane_id() * steps + i];
      sums.largest += weight * largest[lane_id() * steps + i];
    }
    sums.total = lanes_sum(sums.total);
    sums.largest = lanes_sum(sums.largest);
    if (lane_id() != 0) continue;
    const RowPlan plan = plan_row(sums, exponent, scale, call.law, call.exploration);
    const bool is_empty = (valid >> (first + r) & 1) == 0 || valid_keys == 0;
    const std::uint32_t factor =
        is_empty ? kEmptyRow : (plan.linear ? plan.inverse_factor : kCellRow);
    call.row_factors[row] = static_cast<std::uint16_t>(factor);
    call.out.row_exponents[row] = exponent;
    if (is_empty) continue;
    // No row has more edges than valid keys.
    const std::uint64_t most = std::uint64_t{valid_keys} << 32;
    expected += (plan.expected < most ? plan.expected : most) >> 16;
    cells += factor == kCellRow ? 1 : 0;
  }
  if (lane_id() == 0) {
    expected_sums[warp_id()] = expected;
    cell_rows[warp_id()] = cells;
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int warp = 1; warp < kWarps; ++warp) {
    expected += expected_sums[warp];
    cells += cell_rows[warp];
  }
  call.tile_expected[graph * call.row_tiles + tile] = expected;
  call.tile_cell_rows[graph * call.row_tiles + tile] = cells;
}

}  // namespace

Status weigh_rows(const SamplingCall& call, cudaStream_t stream) {
  const std::int64_t tiles = std::int64_t{call.graphs} * call.row_tiles;
  if (tiles == 0) return {};
  return launch(weigh_tiles, dim3(static_cast<unsigned>(tiles)), dim3(kThreads),
                static_cast<std::size_t>(SharedLayout(call.units).bytes()), stream, call);
}

}  // namespace sbm::kernels::cuda
