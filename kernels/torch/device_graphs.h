#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "kernels/edge_list.h"
#include "kernels/sampling.h"

// The sampled graphs of one attention call in a device's memory.
namespace sbm::kernels::torch {

/// Where an array lies in the memory of DeviceGraphs. Without bytes there is no such array.
struct Region {
  std::int64_t offset = 0;
  std::int64_t bytes = 0;
};

/// The arrays of kernels/cuda/sampling.h: SampledLists.
struct ListLayout {
  std::int64_t capacity = 0;  ///< cells of one graph; 0: no lists
  Region row_offsets;
  Region columns;
  Region column_offsets;
  Region rows;
  Region row_gates;
  Region column_gates;
  Region row_probabilities;
  Region column_probabilities;
};

/// What decides how much memory the graphs of a call take.
struct GraphSizes {
  std::int64_t graphs = 0;  ///< batch x heads
  std::int64_t queries = 0;
  std::int64_t keys = 0;
  std::int64_t clusters = 0;
  std::int64_t edge_capacity = 0;   ///< edges of one graph; 0: every graph is a mask
  std::int64_t probe_capacity = 0;  ///< probed non-edges of one graph; 0: no lists of them
  bool probe_mask = false;
  bool probabilities = false;  ///< q beside every listed cell
};

/// The arrays of kernels/cuda/sampling.h: SampledGraphs, but for the counts, one after the other at
/// multiples of kRegionAlignment. Nothing grows as queries x keys but bits and `capacity`.
struct GraphLayout {
  GraphSizes sizes;
  Region mask;
  Region probe_mask;
  Region dense_graphs;
  Region dense_count;
  Region sparse_graphs;
  Region sparse_count;
  Region weights;
  Region row_exponents;
  Region key_entries;
  Region key_exponents;
  Region invalid_values;
  ListLayout edges;
  ListLayout probes;
  std::int64_t bytes = 0;  ///< of all
};

/// A line of the GPU's cache; kernels ask for 16.
inline constexpr std::int64_t kRegionAlignment = 128;

[[nodiscard]] GraphLayout lay_out_graphs(const GraphSizes& sizes);

/// What the forward leaves on the device for the backward.
struct DeviceGraphs {
  GraphLayout layout;
  at::Tensor memory;       ///< Byte [layout.bytes]
  at::Tensor query_valid;  ///< one byte a token [batch, queries]; undefined: all valid
  at::Tensor key_valid;    ///< likewise
  MaskLaw law = MaskLaw::kBernoulli;
  SelfLoops self_loops = SelfLoops::kAdd;
  double exploration = 0.0;

  /// The address of a region; null where it has no bytes.
  template <typename T>
  [[nodiscard]] T* data(const Region& region) const {
    if (region.bytes == 0) return nullptr;
    return reinterpret_cast<T*>(static_cast<std::uint8_t*>(memory.data_ptr()) + region.offset);
  }

  /// Rows and columns of one graph, copied to the host: waits for the device.
  [[nodiscard]] EdgeList download_edges(std::int64_t graph) const;
};

}  // namespace sbm::kernels::torch
