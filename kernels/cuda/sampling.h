#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention.h"
#include "kernels/cuda/mask_layout.h"
#include "kernels/cuda/sampling_operands.h"
#include "kernels/sampling.h"
#include "kernels/status.h"

struct CUstream_st;

// Mask sampling on the GPU: docs/sampler.md to the bit, and for every graph the form in which the
// attention goes along its edges. Graph g = batch * heads + head. All pointers are device memory.
namespace sbm::kernels::cuda {

/// Which path a graph takes. The edges that are to be expected follow from the sampler's integers,
/// so the choice is the same on every device and in every run.
struct PathPlan {
  /// AUTO: sparse below `sparse_below`. SPARSE: every graph. A graph that does not fit its lists
  /// takes the dense path all the same.
  AttentionPath path = AttentionPath::kAuto;
  double sparse_below = 0.0;  ///< expected density under which the edge lists are cheaper
};

/// The density below which edge lists are cheaper than masked tiles on one GPU. A model's estimate
/// until it is measured: with keys and values gathered from L2, a whole step (sampling, forward,
/// backward) breaks even at 2.3 to 2.9 % for head sizes of 32 and 64 and from 2,048 keys on.
inline constexpr double kSparseBelow = 0.02;

/// Room for the list of a graph whose cells are drawn with this mean probability: six standard
/// deviations above the mean, and the diagonal.
[[nodiscard]] std::int64_t list_capacity(std::int64_t queries, std::int64_t keys, double density);

/// Cells of every graph along both sides, coordinates ascending within a row or a column. Only
/// graphs of the sparse work list have them.
struct SampledLists {
  std::int64_t capacity = 0;                ///< cells of one graph, below 2^32
  std::uint32_t* row_offsets = nullptr;     ///< [graphs, queries + 1], from 0 in each graph
  std::uint16_t* columns = nullptr;         ///< [graphs, capacity]
  std::uint32_t* column_offsets = nullptr;  ///< [graphs, keys + 1]
  std::uint16_t* rows = nullptr;            ///< [graphs, capacity]
  /// dq/dP of each cell in the order of `columns` and of `rows`, 0 on a forced diagonal edge;
  /// [graphs, capacity], both or none.
  float* row_gates = nullptr;
  float* column_gates = nullptr;
  /// q of each cell; 1 on a forced diagonal edge. Both or none.
  float* row_probabilities = nullptr;
  float* column_probabilities = nullptr;
};

/// What a call writes.
struct SampledGraphs {
  /// [graphs, ceil(queries / 64), ceil(keys / 64), 64] of mask_layout.h. Whole for graphs of the
  /// dense work list; others may use their part as working memory.
  std::uint64_t* mask = nullptr;
  /// Probed cells of the dense graphs, whether edges or not, in the same layout. Null: unwanted.
  std::uint64_t* probe_mask = nullptr;
  SampledLists edges;
  SampledLists probes;  ///< probed cells that are no edges; capacity 0: unwanted

  std::uint32_t* dense_graphs = nullptr;   ///< [graphs], ascending, *dense_count of them
  std::uint32_t* dense_count = nullptr;    ///< [1]
  std::uint32_t* sparse_graphs = nullptr;  ///< [graphs]; every graph is in one of the two
  std::uint32_t* sparse_count = nullptr;   ///< [1]

  /// The sampler's integers, from which thresholds follow (sampling_cells.cuh); 0 for padding.
  EntryBytes* weights = nullptr;          ///< W [graphs, queries, entry_units(clusters)]
  std::int32_t* row_exponents = nullptr;  ///< R [graphs, queries]
  EntryBytes* key_entries = nullptr;      ///< K [graphs, keys, entry_units(clusters)]
  std::uint8_t* key_exponents = nullptr;  ///< [graphs, keys]

  /// [graphs, 3]: drawn edges (forced diagonal not counted), forced diagonal edges, valid cells.
  std::int64_t* edge_counts = nullptr;
  /// [1]: bit 0: a membership of a valid token is outside [0, 1]; bit 1: an entry of S is negative
  /// or not finite. Such values count as 0; the masks are then of no use.
  std::uint32_t* invalid_values = nullptr;
};

/// Most queries and keys: coordinates take 16 bits.
inline constexpr std::int64_t kMostTokens = 65536;

/// Bytes of the workspace of a call. Only the sizes of `params` count.
[[nodiscard]] std::size_t sampling_workspace_bytes(const SamplingParams& params);

/// Draws the masks of docs/sampler.md: equal bits to those of the CPU and the reference. The
/// pointers of `params` are device memory, those of W, K and `workspace` aligned to 16 bytes. Runs
/// on `stream`, allocates nothing, never synchronises and can be captured. The result does not
/// depend on the workspace's content. Not ok when parameters contradict one another or CUDA refuses
/// a launch.
Status sample_graphs(const SamplingParams& params, const PathPlan& plan,
                     const SampledGraphs& graphs, void* workspace, std::size_t workspace_bytes,
                     CUstream_st* stream);

}  // namespace sbm::kernels::cuda
