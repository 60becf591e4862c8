// The entry point of sampling: checks, the workspace, the order of the kernels.

#include "kernels/cuda/sampling.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/cuda/sampling_kernels.h"
#include "kernels/sampler_check.h"
#include "kernels/sampler_fixed_point.h"
#include "kernels/sampler_threshold.h"

namespace sbm::kernels::cuda {
namespace {

constexpr double kUnits = 4294967296.0;  // 2^32

/// Cuts arrays out of a workspace, or counts their bytes when there is none.
class Arena {
 public:
  explicit Arena(void* memory) : memory_(static_cast<unsigned char*>(memory)) {}

  template <class Value>
  void take(Value*& array, std::int64_t count) {
    constexpr std::size_t kAlignment = 16;
    array = memory_ == nullptr ? nullptr : reinterpret_cast<Value*>(memory_ + bytes_);
    const std::size_t wanted = static_cast<std::size_t>(count) * sizeof(Value);
    bytes_ += (wanted + kAlignment - 1) / kAlignment * kAlignment;
  }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  unsigned char* memory_;
  std::size_t bytes_ = 0;
};

SamplingCall sizes_of(const SamplingParams& params) {
  SamplingCall call;
  call.batch = static_cast<std::int32_t>(params.batch);
  call.heads = static_cast<std::int32_t>(params.heads);
  call.graphs = static_cast<std::int32_t>(params.batch * params.heads);
  call.queries = static_cast<std::int32_t>(params.queries);
  call.keys = static_cast<std::int32_t>(params.keys);
  call.clusters = static_cast<std::int32_t>(params.clusters);
  call.units = entry_units(params.clusters);
  call.row_tiles = static_cast<std::int32_t>(mask_tiles(params.queries));
  call.key_tiles = static_cast<std::int32_t>(mask_tiles(params.keys));
  return call;
}

void take_lists(SamplingCall& call, ListBuild& build, Arena& arena) {
  const std::int64_t graphs = call.graphs;
  arena.take(build.row_counts, graphs * call.queries);
  arena.take(build.row_starts, graphs * call.queries);
  arena.take(build.column_counts, graphs * call.keys);
  arena.take(build.cursors, graphs);
}

void take_workspace(SamplingCall& call, Arena& arena) {
  const std::int64_t graphs = call.graphs;
  const std::int64_t columns = std::int64_t{call.heads} * call.units * kUnitEntries;
  const std::int64_t lines = graphs * call.clusters;
  arena.take(call.query_bits, std::int64_t{call.batch} * call.row_tiles);
  arena.take(call.key_bits, std::int64_t{call.batch} * call.key_tiles);
  arena.take(call.keys_before, std::int64_t{call.batch} * (call.key_tiles + 1));
  arena.take(call.valid_queries, call.batch);
  arena.take(call.forced_cells, call.batch);
  arena.take(call.block_columns, columns * call.units);
  arena.take(call.block_exponents, columns);
  arena.take(call.tile_exponents, graphs * call.key_tiles);
  arena.take(call.least_exponents, graphs);
  arena.take(call.strip_sums, lines * (call.strips() + 1));
  arena.take(call.tile_largest, lines * call.key_tiles);
  arena.take(call.largest, lines);
  arena.take(call.row_factors, graphs * call.queries);
  arena.take(call.tile_expected, graphs * call.row_tiles);
  arena.take(call.tile_cell_rows, graphs * call.row_tiles);
  arena.take(call.kinds, graphs);
  arena.take(call.overflown, graphs);
  arena.take(call.overflown_count, 1);
  take_lists(call, call.edges, arena);
  take_lists(call, call.probes, arena);
}

Status check_array(const char* name, const void* array, bool needed = true) {
  if (array != nullptr || !needed) return {};
  return Status::invalid(std::string(name) + ": expected an array, found null");
}

/// An array that kernels load 16 bytes at a time.
Status check_rows(const char* name, const void* array, bool needed = true) {
  if (Status status = check_array(name, array, needed); !status.ok()) return status;
  const auto beyond = reinterpret_cast<std::uintptr_t>(array) % 16;
  if (beyond == 0) return {};
  return Status::invalid(std::string(name) +
                         ": expected an address that is a multiple of 16, found " +
                         std::to_string(beyond) + " beyond one");
}

Status check_lists(const std::string& name, const SampledLists& lists) {
  constexpr std::int64_t kMostCells = 0xFFFFFFFF;
  if (lists.capacity < 0 || lists.capacity > kMostCells) {
    return Status::invalid(name + ".capacity: expected 0 to " + std::to_string(kMostCells) +
                           ", found " + std::to_string(lists.capacity));
  }
  if (lists.capacity == 0) return {};
  const bool whole = lists.row_offsets != nullptr && lists.columns != nullptr &&
                     lists.column_offsets != nullptr && lists.rows != nullptr;
  if (!whole) return Status::invalid(name + ": expected all four arrays, found null");
  return {};
}

Status check_call(const SamplingParams& params, const PathPlan& plan, const SampledGraphs& graphs,
                  const void* workspace, std::size_t workspace_bytes) {
  const auto count = static_cast<std::size_t>(params.batch * params.heads);
  if (Status status = check_sampling(params, count); !status.ok()) return status;
  if (params.queries > kMostTokens || params.keys > kMostTokens) {
    return Status::invalid("queries, keys: expected at most " + std::to_string(kMostTokens) +
                           " on the GPU, found " + std::to_string(params.queries) + ", " +
                           std::to_string(params.keys));
  }
  if (!(plan.sparse_below >= 0.0 && plan.sparse_below <= 1.0)) {
    return Status::invalid("sparse_below: expected a number in [0, 1], found " +
                           std::to_string(plan.sparse_below));
  }
  const std::size_t needed = sampling_workspace_bytes(params);
  if (workspace_bytes < needed) {
    return Status::invalid("workspace_bytes: expected at least " + std::to_string(needed) +
                           ", found " + std::to_string(workspace_bytes));
  }
  const bool has_queries = params.queries > 0;
  const bool has_keys = params.keys > 0;
  for (Status status : {check_rows("workspace", workspace),
                        check_rows("mask", graphs.mask, has_queries && has_keys),
                        check_array("dense_graphs", graphs.dense_graphs),
                        check_array("dense_count", graphs.dense_count),
                        check_array("sparse_graphs", graphs.sparse_graphs),
                        check_array("sparse_count", graphs.sparse_count),
                        check_rows("weights", graphs.weights, has_queries),
                        check_array("row_exponents", graphs.row_exponents, has_queries),
                        check_rows("key_entries", graphs.key_entries, has_keys),
                        check_array("key_exponents", graphs.key_exponents, has_keys),
                        check_array("edge_counts", graphs.edge_counts),
                        check_array("invalid_values", graphs.invalid_values),
                        check_lists("edges", graphs.edges), check_lists("probes", graphs.probes)}) {
    if (!status.ok()) return status;
  }
  const bool probes = graphs.probes.capacity > 0 || graphs.probe_mask != nullptr;
  if (probes && params.probe_keys == nullptr) {
    return Status::invalid("probe_keys: expected an array where probes are wanted, found null");
  }
  if (graphs.probes.capacity > 0 && graphs.edges.capacity == 0) {
    return Status::invalid("edges.capacity: expected room for edges beside the list of probes");
  }
  return {};
}

/// The kernels that make lists, and those that make whole masks of what does not fit.
Status build_lists(const SamplingCall& call, cudaStream_t stream) {
  if (call.edges.lists.capacity == 0) return list_graphs(call, stream);
  if (Status status = build_edge_lists(call, stream); !status.ok()) return status;
  if (call.probes.lists.capacity > 0) {
    if (Status status = build_probe_lists(call, stream); !status.ok()) return status;
  }
  if (Status status = list_graphs(call, stream); !status.ok()) return status;
  if (Status status = draw_cells(call, true, stream); !status.ok()) return status;
  if (Status status = draw_rows(call, true, stream); !status.ok()) return status;
  return weigh_listed_cells(call, stream);
}

}  // namespace

std::int64_t list_capacity(std::int64_t queries, std::int64_t keys, double density) {
  constexpr double kDeviations = 6.0;
  constexpr double kSlack = 64.0;
  const double cells = static_cast<double>(queries) * static_cast<double>(keys);
  const double mean = density * cells;
  const double room = std::ceil(mean + kDeviations * std::sqrt(mean + 1.0) + kSlack);
  return static_cast<std::int64_t>(std::min(room, cells)) + std::min(queries, keys) + 1;
}

std::size_t sampling_workspace_bytes(const SamplingParams& params) {
  SamplingCall call = sizes_of(params);
  Arena arena(nullptr);
  take_workspace(call, arena);
  return arena.bytes();
}

Status sample_graphs(const SamplingParams& params, const PathPlan& plan,
                     const SampledGraphs& graphs, void* workspace, std::size_t workspace_bytes,
                     CUstream_st* stream) {
  if (params.batch == 0 || params.heads == 0) return {};
  if (Status status = check_call(params, plan, graphs, workspace, workspace_bytes); !status.ok()) {
    return status;
  }
  SamplingCall call = sizes_of(params);
  Arena arena(workspace);
  take_workspace(call, arena);
  call.query_membership = params.query_membership;
  call.key_membership = params.key_membership;
  call.block_matrix = params.block_matrix;
  call.query_valid = params.query_valid;
  call.key_valid = params.key_valid;
  call.mask_keys = params.mask_keys;
  call.probe_keys = params.probe_keys;
  call.law = params.law;
  call.self_loops = params.self_loops;
  call.exploration = exploration_units(params.exploration);
  call.probe_units = static_cast<std::uint64_t>(std::nearbyint(params.probe_rate * kUnits));
  const std::uint64_t unprobed = (std::uint64_t{1} << 32) - call.probe_units;
  const bool skips = call.probe_units != 0 && unprobed != 0;
  call.probe_hazard = skips ? negative_log(unprobed << 32) : 0;
  call.path = plan.path;
  call.sparse_below =
      static_cast<std::uint64_t>(std::min(std::nearbyint(plan.sparse_below * kUnits), kUnits - 1));
  call.out = graphs;
  call.edges.lists = graphs.edges;
  call.probes.lists = graphs.probes;

  if (Status status = quantize_inputs(call, stream); !status.ok()) return status;
  if (Status status = weigh_rows(call, stream); !status.ok()) return status;
  if (Status status = plan_graphs(call, stream); !status.ok()) return status;
  if (Status status = draw_cells(call, false, stream); !status.ok()) return status;
  if (Status status = draw_rows(call, false, stream); !status.ok()) return status;
  if (Status status = build_lists(call, stream); !status.ok()) return status;
  if (graphs.probe_mask == nullptr) return {};
  return draw_probe_masks(call, stream);
}

}  // namespace sbm::kernels::cuda
