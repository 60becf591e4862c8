#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/cuda/attention.h"
#include "kernels/sampling.h"

// Masks that are not stored. Everything that sample_graphs() writes follows, bit for bit, from its
// SamplingParams, its PathPlan and the capacities of the lists, whatever the rest of the batch is.
// So there are three ways of having the masks of a layer in its backward, with equal gradients:
//
//   stored       one set of SampledGraphs a layer, kept from forward to backward;
//   redrawn      one set for all layers: sample_graphs() is called again before the layer's
//                backward, with the same parameters. Kept: Qhat, Khat, S, O and the log-sum-exp;
//   in slices    one set for a slice of the graphs: draw, forward, next slice; and so again in the
//                backward. For layers whose masks do not even fit once.
//
// A mask takes queries x keys / 8 bytes a graph, and as much again for probes at a rate between 0
// and 1. For 256 graphs: .13 GB at n = 2,048, .54 GB at 4,096, 8.6 GB at 16,384, 137 GB at 65,536,
// where one graph has .54 GB. Drawing costs what it costs in the forward.
namespace sbm::kernels::cuda {

/// Some of a call's graphs: `heads` heads of `batch` samples. Several samples come with all heads.
struct GraphSlice {
  std::int64_t first_sample = 0;
  std::int64_t batch = 0;
  std::int64_t first_head = 0;
  std::int64_t heads = 0;

  [[nodiscard]] std::int64_t graphs() const { return batch * heads; }
};

/// Bytes of SampledGraphs::mask, and of probe_mask.
[[nodiscard]] std::size_t mask_bytes(const SamplingParams& params);

/// Cuts a call into slices, in the order of the graphs, whose masks have at most `most_bytes` each;
/// but no slice has less than one graph, nor so little that the next one's memberships would not
/// start at a multiple of 16 bytes. Only the sizes of `params` count.
[[nodiscard]] std::vector<GraphSlice> slice_graphs(const SamplingParams& params,
                                                   std::size_t most_bytes);

/// The parameters of a slice. `edges` and `dense` of attention stay as they are: they are those of
/// the slice's own draw, whose graphs count from 0.
[[nodiscard]] SamplingParams slice_of(const SamplingParams& params, const GraphSlice& slice);
[[nodiscard]] ForwardParams slice_of(const ForwardParams& params, const GraphSlice& slice);
[[nodiscard]] BackwardParams slice_of(const BackwardParams& params, const GraphSlice& slice);

}  // namespace sbm::kernels::cuda
