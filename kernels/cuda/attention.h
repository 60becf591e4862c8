#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention.h"
#include "kernels/cuda/sampling_operands.h"
#include "kernels/sampling.h"
#include "kernels/status.h"

struct CUstream_st;

// Fused SBM attention on the GPU (design, section 3.1). All pointers are device memory. "Graph"
// g = batch * heads + head numbers the (sample, head) pairs; arrays by graph are dense. Calls run
// on the given stream, allocate nothing, never synchronise and can be captured in a CUDA graph.
namespace sbm::kernels::cuda {

/// What Q, K, V, O and their gradients are stored in; all sums are float32.
enum class Precision : std::int32_t { kFloat32, kBfloat16 };

/// The graphs that a path works on, written on the device by the routing kernel.
struct WorkList {
  const std::uint32_t* graphs = nullptr;  ///< [batch * heads], the first *count of them count
  const std::uint32_t* count = nullptr;   ///< [1]
};

/// Cells of every graph, compressed along one side: a line is a row (CSR) or a column (CSC) and
/// `others` are the cells' coordinates on the other side, ascending within a line.
struct CellList {
  const std::uint32_t* offsets = nullptr;  ///< [batch * heads, lines + 1], from 0 in each graph
  const std::uint16_t* others = nullptr;   ///< [batch * heads, capacity]
  /// dq/dP of each cell as in EdgeList::gates, [batch * heads, capacity]. The backward reads it.
  const float* gates = nullptr;
  /// q of each cell, [batch * heads, capacity]. TRAPEZOID reads it.
  const float* probabilities = nullptr;
  std::int64_t capacity = 0;
};

/// The edge-list path. Its lists need to hold nothing for graphs that are not in `work`.
struct EdgeGraphs {
  WorkList work;  ///< null: the path is not launched
  CellList rows;
  CellList columns;        ///< the same edges; backward only
  CellList probe_rows;     ///< probed non-edges, TRAPEZOID's backward only; null offsets: none
  CellList probe_columns;  ///< the same probes
};

/// The sampler's integers (docs/sampler.md, sections 3 to 5), from which q and the gate of every
/// cell follow. The dense-masked path reads them where it needs q or gates.
struct CellLaw {
  MaskLaw law = MaskLaw::kBernoulli;
  SelfLoops self_loops = SelfLoops::kAdd;
  double exploration = 0.0;                     ///< delta
  const EntryBytes* weights = nullptr;          ///< W [batch * heads, queries, entry_units]
  const std::int32_t* row_exponents = nullptr;  ///< R [batch * heads, queries]
  const EntryBytes* key_entries = nullptr;      ///< K [batch * heads, keys, entry_units]
  const std::uint8_t* key_exponents = nullptr;  ///< ek [batch * heads, keys]
  const std::uint8_t* query_valid = nullptr;    ///< [batch, queries], 0 = padding; null: all valid
  const std::uint8_t* key_valid = nullptr;      ///< [batch, keys]
};

/// The dense-masked path. Its masks need to hold nothing for graphs that are not in `work`. Every
/// token of those that are, padding too, must hold finite values and memberships: a weight of 0
/// still multiplies. The backward always reads `law`: a cell may have P + delta >= 1.
struct DenseGraphs {
  WorkList work;  ///< null: the path is not launched
  /// Edges, one bit a cell (kernels/cuda/mask_layout.h):
  /// [batch * heads, ceil(queries / 64), ceil(keys / 64), 64]. Masks and the entries of `law` start
  /// at multiples of 16 bytes.
  const std::uint64_t* mask = nullptr;
  /// Probed cells in the same layout, TRAPEZOID's backward only. Null: every cell is probed when
  /// the probe rate is 1, none when it is 0; other rates need it.
  const std::uint64_t* probe_mask = nullptr;
  CellLaw law;
};

/// Forward. shape.dropout_keys is device memory; shape.path has done its work in the routing.
/// Every graph is in exactly one of the two work lists. Rows of tensors start at multiples of 16
/// bytes: so must their data and all of their strides.
struct ForwardParams {
  AttentionShape shape;  ///< head_dim 32, 64 or 128; queries and keys up to 65,536
  Precision precision = Precision::kFloat32;
  HeadTensor<const void> query;  ///< [batch, heads, queries, head_dim], strides in elements
  HeadTensor<const void> key;    ///< [batch, heads, keys, head_dim]
  HeadTensor<const void> value;  ///< [batch, heads, keys, head_dim]
  EdgeGraphs edges;
  DenseGraphs dense;

  HeadTensor<void> output;       ///< [batch, heads, queries, head_dim]; a row without edges: 0
  float* log_sum_exp = nullptr;  ///< [batch * heads, queries], natural; without edges: -infinity
};

/// Backward of the same call. Every output element has one owner and a fixed order of its sum, so
/// equal inputs give equal bits. Outputs are written whole, not added to.
struct BackwardParams {
  AttentionShape shape;  ///< clusters 1 to 256
  Precision precision = Precision::kFloat32;
  EstimatorParams estimator;  ///< density_gradient [heads] is device memory
  HeadTensor<const void> query;
  HeadTensor<const void> key;
  HeadTensor<const void> value;
  EdgeGraphs edges;
  DenseGraphs dense;
  HeadTensor<const void> output;
  const float* log_sum_exp = nullptr;
  HeadTensor<const void> grad_output;
  const float* query_membership = nullptr;  ///< Qhat [batch * heads, queries, clusters]
  const float* key_membership = nullptr;    ///< Khat [batch * heads, keys, clusters]

  HeadTensor<void> grad_query;
  HeadTensor<void> grad_key;
  HeadTensor<void> grad_value;
  float* query_product = nullptr;  ///< T = G Khat [batch * heads, queries, clusters]
  float* key_product = nullptr;    ///< R = G^T Qhat [batch * heads, keys, clusters]
  float* delta = nullptr;  ///< workspace [batch * heads, queries]: receives dO . O of each row
  /// Workspace of the dense-masked path, attention_dense_workspace_bytes() aligned to 16; unused
  /// where dense.work is null.
  void* dense_workspace = nullptr;
};

/// Both paths, as far as their work lists are given. Not ok when parameters contradict one another
/// or CUDA refuses a launch.
Status attention_forward(const ForwardParams& params, CUstream_st* stream);
Status attention_backward(const BackwardParams& params, CUstream_st* stream);

/// Bytes of BackwardParams::delta.
[[nodiscard]] std::size_t attention_delta_bytes(const AttentionShape& shape);

/// Bytes of BackwardParams::dense_workspace: Qhat and Khat in the precision of Q and K, and which
/// rows have only one edge.
[[nodiscard]] std::size_t attention_dense_workspace_bytes(const AttentionShape& shape,
                                                          Precision precision);

// The parts of the two, each of which trusts its parameters.

/// params.delta of all graphs, from output and grad_output. The other parts of backward read it.
Status attention_delta(const BackwardParams& params, CUstream_st* stream);
Status attention_forward_edges(const ForwardParams& params, CUstream_st* stream);
Status attention_backward_edges(const BackwardParams& params, CUstream_st* stream);
Status attention_forward_dense(const ForwardParams& params, CUstream_st* stream);
Status attention_backward_dense(const BackwardParams& params, CUstream_st* stream);

}  // namespace sbm::kernels::cuda
