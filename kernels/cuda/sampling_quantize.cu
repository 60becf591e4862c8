// From floats to the integers of docs/sampler.md, section 3, and the sums over the keys of section
// 8. All of it is O((n + m) k) a graph and bound by reading the memberships once.
//
//   pack_tokens       block of 256 a sample: which tokens are valid, as bits and running counts
//   quantize_blocks   warp a column of S
//   quantize_keys     block of 128 a tile of 64 keys, warp a key
//   sum_keys          block of 128 a tile of 64 keys, thread a cluster: sums of 16 keys each
//   scan_keys         warp a cluster: running sums of those
// Static shared memory only, at most 4 KiB a block.

#include "kernels/cuda/sampling_kernels.h"
#include "kernels/cuda/sampling_quantize.cuh"
#include "kernels/cuda/sampling_warp.cuh"
#include "kernels/sampler_process.h"

namespace sbm::kernels::cuda {
namespace {

constexpr int kTokenThreads = 256;
constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kWarpLanes;
constexpr int kMostTiles = static_cast<int>(kMostTokens / kMaskTile);

/// The bits of 64 tokens from `first` on, natural order; by a warp, all lanes get them.
__device__ std::uint64_t valid_bits(const std::uint8_t* valid, std::int32_t first,
                                    std::int32_t tokens) {
  const std::int32_t low = first + lane_id();
  const std::int32_t high = low + kWarpLanes;
  const bool has_low = low < tokens && (valid == nullptr || valid[low] != 0);
  const bool has_high = high < tokens && (valid == nullptr || valid[high] != 0);
  const std::uint64_t upper = __ballot_sync(kWholeWarp, has_high);
  return upper << kWarpLanes | __ballot_sync(kWholeWarp, has_low);
}

__global__ void __launch_bounds__(kTokenThreads) pack_tokens(const SamplingCall call) {
  SBM_SHARED_ARRAY(std::uint32_t, key_counts, kMostTiles);
  SBM_SHARED_ARRAY(std::uint32_t, totals, 2);
  const std::int64_t batch = blockIdx.x;
  const std::uint8_t* query_valid =
      call.query_valid == nullptr ? nullptr : call.query_valid + batch * call.queries;
  const std::uint8_t* key_valid =
      call.key_valid == nullptr ? nullptr : call.key_valid + batch * call.keys;
  if (threadIdx.x < 2) totals[threadIdx.x] = 0;
  if (batch == 0 && threadIdx.x == 0) *call.out.invalid_values = 0;
  __syncthreads();
  std::uint32_t queries = 0;
  std::uint32_t forced = 0;
  const int tiles = call.row_tiles > call.key_tiles ? call.row_tiles : call.key_tiles;
  for (int tile = warp_id(); tile < tiles; tile += kTokenThreads / kWarpLanes) {
    const std::uint64_t query_bits = valid_bits(query_valid, tile * kMaskTile, call.queries);
    const std::uint64_t key_bits = valid_bits(key_valid, tile * kMaskTile, call.keys);
    queries += static_cast<std::uint32_t>(__popcll(query_bits));
    forced += static_cast<std::uint32_t>(__popcll(query_bits & key_bits));
    if (lane_id() != 0) continue;
    if (tile < call.row_tiles) call.query_bits[batch * call.row_tiles + tile] = query_bits;
    if (tile < call.key_tiles) {
      call.key_bits[batch * call.key_tiles + tile] = key_bits;
      key_counts[tile] = static_cast<std::uint32_t>(__popcll(key_bits));
    }
  }
  if (lane_id() == 0) {
    atomicAdd(&totals[0], queries);
    atomicAdd(&totals[1], forced);
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    call.valid_queries[batch] = totals[0];
    call.forced_cells[batch] = call.self_loops == SelfLoops::kAdd ? totals[1] : 0;
  }
  if (warp_id() != 0) return;
  std::uint32_t* before = call.keys_before + batch * (call.key_tiles + 1);
  std::uint32_t sum = 0;
  for (int first = 0; first < call.key_tiles; first += kWarpLanes) {
    const int tile = first + lane_id();
    const std::uint32_t count = tile < call.key_tiles ? key_counts[tile] : 0;
    const std::uint32_t through = sum + lanes_scan<kWarpLanes>(count);
    if (tile < call.key_tiles) before[tile] = through - count;
    sum = __shfl_sync(kWholeWarp, through, kWarpLanes - 1);
  }
  if (lane_id() == 0) before[call.key_tiles] = sum;
}

__global__ void __launch_bounds__(kThreads) quantize_blocks(const SamplingCall call) {
  const std::int64_t padded = std::int64_t{call.units} * kUnitEntries;
  const std::int64_t column = std::int64_t{blockIdx.x} * kWarps + warp_id();
  const std::int64_t head = column / padded;
  const auto c = static_cast<std::int32_t>(column % padded);
  if (head >= call.heads) return;
  const float* entries = call.block_matrix + head * call.clusters * call.clusters + c;
  LaneEntries<float> values;
  bool invalid = false;
  float largest = 0.0F;
  const int steps = entry_steps(call.clusters);
#pragma unroll
  for (int i = 0; i < kMostSteps; ++i) {
    const std::int32_t a = lane_id() * steps + i;
    values.of[i] = 0.0F;
    if (i >= steps || a >= call.clusters || c >= call.clusters) continue;
    const float value = entries[std::int64_t{a} * call.clusters];
    const bool fine = value >= 0.0F && value <= kLargestFloat;
    invalid = invalid || !fine;
    values.of[i] = fine && value > 0.0F ? value : 0.0F;
    largest = values.of[i] > largest ? values.of[i] : largest;
  }
  if (__any_sync(kWholeWarp, invalid) && lane_id() == 0) {
    atomicOr(call.out.invalid_values, kInvalidBlockEntry);
  }
  largest = warp_max(largest);
  int exponent = kLargestBlockExponent;
  if (largest > 0.0F) {
    int binary_exponent = 0;
    (void)frexpf(largest, &binary_exponent);
    if (15 - binary_exponent < exponent) exponent = 15 - binary_exponent;
  }
  for (;; --exponent) {
    const double scale = ldexp(1.0, exponent);
    std::uint32_t sum = 0;
#pragma unroll
    for (int i = 0; i < kMostSteps; ++i) sum += static_cast<std::uint32_t>(values.of[i] * scale);
    sum = lanes_sum(sum) + static_cast<std::uint32_t>(call.clusters);
    const auto first = static_cast<std::uint32_t>(largest * scale);
    if (first <= kLargestCarriedEntry && sum <= kLargestBlockColumnSum) break;
  }
  const double scale = ldexp(1.0, exponent + kCarryBits);
  LaneEntries<std::uint32_t> scaled;
#pragma unroll
  for (int i = 0; i < kMostSteps; ++i)
    scaled.of[i] = static_cast<std::uint32_t>(values.of[i] * scale);
  round_carried(scaled);
  store_entries(scaled, steps, lane_id(), call.block_columns + column * call.units);
  if (lane_id() == 0) call.block_exponents[column] = exponent;
}

__global__ void __launch_bounds__(kThreads) quantize_keys(const SamplingCall call) {
  SBM_SHARED_ARRAY(int, least, kWarps);
  const std::int64_t graph = blockIdx.x / static_cast<std::uint32_t>(call.key_tiles);
  const auto tile =
      static_cast<std::int32_t>(blockIdx.x % static_cast<std::uint32_t>(call.key_tiles));
  const std::uint64_t bits = call.key_bits[graph / call.heads * call.key_tiles + tile];
  int least_exponent = kLargestMembershipExponent;
  for (int i = warp_id(); i < kMaskTile; i += kWarps) {
    const std::int32_t key = tile * kMaskTile + i;
    if (key >= call.keys) break;
    const std::int64_t row = graph * call.keys + key;
    const bool valid = (bits >> i & 1) != 0;
    const int exponent =
        quantize_row(valid ? call.key_membership + row * call.clusters : nullptr, call.clusters,
                     call.out.key_entries + row * call.units, call.out.invalid_values);
    if (valid && exponent < least_exponent) least_exponent = exponent;
    if (lane_id() == 0) {
      call.out.key_exponents[row] = static_cast<std::uint8_t>(valid ? exponent : 0);
    }
  }
  if (lane_id() == 0) least[warp_id()] = least_exponent;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int warp = 1; warp < kWarps; ++warp) {
    if (least[warp] < least_exponent) least_exponent = least[warp];
  }
  call.tile_exponents[graph * call.key_tiles + tile] = least_exponent;
}

__global__ void __launch_bounds__(kThreads) sum_keys(const SamplingCall call) {
  SBM_SHARED_ARRAY(int, least, kWarps);
  const std::int64_t graph = blockIdx.x / static_cast<std::uint32_t>(call.key_tiles);
  const auto tile =
      static_cast<std::int32_t>(blockIdx.x % static_cast<std::uint32_t>(call.key_tiles));
  int exponent = kLargestMembershipExponent;
  for (int t = static_cast<int>(threadIdx.x); t < call.key_tiles; t += kThreads) {
    const int other = call.tile_exponents[graph * call.key_tiles + t];
    if (other < exponent) exponent = other;
  }
  exponent = -warp_max(-exponent);
  if (lane_id() == 0) least[warp_id()] = exponent;
  __syncthreads();
  for (int warp = 0; warp < kWarps; ++warp) {
    if (least[warp] < exponent) exponent = least[warp];
  }
  if (tile == 0 && threadIdx.x == 0) call.least_exponents[graph] = exponent;
  const std::uint32_t valid_keys =
      call.keys_before[graph / call.heads * (call.key_tiles + 1) + call.key_tiles];
  const KeyScale scale{valid_keys, exponent, proposal_scale_bits(valid_keys)};

  const int end =
      call.keys - tile * kMaskTile < kMaskTile ? call.keys - tile * kMaskTile : kMaskTile;
  for (int c = static_cast<int>(threadIdx.x); c < call.clusters; c += kThreads) {
    std::uint64_t* sums = call.sums(graph, c) + 1 + std::int64_t{tile} * kTileStrips;
    std::uint64_t sum = 0;
    std::uint32_t largest = 0;
    for (int i = 0; i < kMaskTile; ++i) {
      if (i < end) {
        const std::int64_t key = std::int64_t{tile} * kMaskTile + i;
        // Entries of padding are 0, and so are their weights, whatever their scale.
        const std::uint32_t entry =
            unit_entry(call.key_row(graph, key)[c / kUnitEntries], c % kUnitEntries);
        const std::uint32_t weight =
            entry == 0 ? 0
                       : scale.proposal_scale(call.out.key_exponents[graph * call.keys + key])
                             .weight(entry);
        sum += weight;
        if (weight > largest) largest = weight;
      }
      if (i % kStripKeys == kStripKeys - 1) {
        sums[i / kStripKeys] = sum;
        sum = 0;
      }
    }
    call.tile_largest[(graph * call.clusters + c) * call.key_tiles + tile] = largest;
  }
}

__global__ void __launch_bounds__(kThreads) scan_keys(const SamplingCall call) {
  const std::int64_t line = std::int64_t{blockIdx.x} * kWarps + warp_id();
  if (line >= std::int64_t{call.graphs} * call.clusters) return;
  std::uint64_t* sums = call.strip_sums + line * (call.strips() + 1);
  if (lane_id() == 0) sums[0] = 0;
  std::uint64_t before = 0;
  for (std::int32_t first = 1; first <= call.strips(); first += kWarpLanes) {
    const std::int32_t strip = first + lane_id();
    const bool inside = strip <= call.strips();
    const std::uint64_t sum = before + lanes_scan<kWarpLanes>(inside ? sums[strip] : 0);
    if (inside) sums[strip] = sum;
    before = __shfl_sync(kWholeWarp, sum, kWarpLanes - 1);
  }
  std::uint32_t largest = 0;
  for (std::int32_t tile = lane_id(); tile < call.key_tiles; tile += kWarpLanes) {
    const std::uint32_t other = call.tile_largest[line * call.key_tiles + tile];
    if (other > largest) largest = other;
  }
  largest = warp_max(largest);
  if (lane_id() == 0) call.largest[line] = largest;
}

}  // namespace

Status quantize_inputs(const SamplingCall& call, cudaStream_t stream) {
  const std::int64_t columns = std::int64_t{call.heads} * call.units * kUnitEntries;
  const std::int64_t tiles = std::int64_t{call.graphs} * call.key_tiles;
  const std::int64_t lines = std::int64_t{call.graphs} * call.clusters;
  const dim3 threads(kThreads);
  const auto samples = static_cast<unsigned>(call.batch);
  if (Status status = launch(pack_tokens, dim3(samples), dim3(kTokenThreads), 0, stream, call);
      !status.ok()) {
    return status;
  }
  if (Status status =
          launch(quantize_blocks, dim3(blocks_for(columns, kWarps)), threads, 0, stream, call);
      !status.ok()) {
    return status;
  }
  if (tiles > 0) {
    const dim3 grid(static_cast<unsigned>(tiles));
    if (Status status = launch(quantize_keys, grid, threads, 0, stream, call); !status.ok()) {
      return status;
    }
    if (Status status = launch(sum_keys, grid, threads, 0, stream, call); !status.ok()) {
      return status;
    }
  }
  return launch(scan_keys, dim3(blocks_for(lines, kWarps)), threads, 0, stream, call);
}

}  // namespace sbm::kernels::cuda
