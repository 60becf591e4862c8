#include "kernels/cuda/graph_slices.h"

#include <algorithm>
#include <type_traits>

#include "kernels/cuda/mask_layout.h"

namespace sbm::kernels::cuda {
namespace {

/// Graphs after which arrays of [graphs, tokens, clusters] are at a multiple of 16 bytes again.
std::int64_t aligned_step(const SamplingParams& params) {
  std::int64_t step = 1;
  const auto is_aligned = [&](std::int64_t tokens) {
    return step * tokens * params.clusters % 4 == 0;
  };
  while (!is_aligned(params.queries) || !is_aligned(params.keys)) step *= 2;
  return step;
}

std::int64_t largest_multiple(std::int64_t step, std::int64_t most) {
  return std::max(step, most / step * step);
}

/// Moves pointers from a call's arrays to a slice's.
struct Mover {
  GraphSlice slice;
  std::int64_t first_graph;

  Mover(const GraphSlice& wanted, std::int64_t heads)
      : slice(wanted), first_graph(wanted.first_sample * heads + wanted.first_head) {}

  template <class Value>
  void by_graph(Value*& array, std::int64_t width) const {
    if (array != nullptr) array += first_graph * width;
  }
  template <class Value>
  void by_sample(Value*& array, std::int64_t width) const {
    if (array != nullptr) array += slice.first_sample * width;
  }
  /// Tensors of elements that the type does not tell.
  template <class Tensor>
  void tensor(Tensor& tensor, Precision precision) const {
    if (tensor.data == nullptr) return;
    const std::int64_t bytes = precision == Precision::kBfloat16 ? 2 : 4;
    const std::int64_t elements =
        slice.first_sample * tensor.batch_stride + slice.first_head * tensor.head_stride;
    using Byte = std::conditional_t<std::is_const_v<std::remove_pointer_t<decltype(tensor.data)>>,
                                    const unsigned char, unsigned char>;
    tensor.data = static_cast<Byte*>(tensor.data) + elements * bytes;
  }
  /// What forward and backward share.
  template <class Params>
  void inputs(Params& params) const {
    AttentionShape& shape = params.shape;
    shape.batch = slice.batch;
    shape.heads = slice.heads;
    by_graph(shape.dropout_keys, 1);
    tensor(params.query, params.precision);
    tensor(params.key, params.precision);
    tensor(params.value, params.precision);
    tensor(params.output, params.precision);
    by_graph(params.log_sum_exp, shape.queries);
    by_sample(params.dense.law.query_valid, shape.queries);
    by_sample(params.dense.law.key_valid, shape.keys);
  }
};

}  // namespace

std::size_t mask_bytes(const SamplingParams& params) {
  return static_cast<std::size_t>(params.batch * params.heads *
                                  mask_words(params.queries, params.keys)) *
         sizeof(std::uint64_t);
}

std::vector<GraphSlice> slice_graphs(const SamplingParams& params, std::size_t most_bytes) {
  std::vector<GraphSlice> slices;
  const std::int64_t graphs = params.batch * params.heads;
  if (graphs == 0) return slices;
  const std::size_t graph_bytes =
      std::max<std::size_t>(1, mask_bytes(params) / static_cast<std::size_t>(graphs));
  const auto most = static_cast<std::int64_t>(
      std::min(most_bytes / graph_bytes, static_cast<std::size_t>(graphs)));
  const std::int64_t step = aligned_step(params);
  const bool samples_are_aligned = params.heads % step == 0;
  if (most >= params.heads || !samples_are_aligned) {
    // Whole samples, as many as make a multiple of the step.
    const std::int64_t sample_step = samples_are_aligned ? 1 : step;
    const std::int64_t batch = largest_multiple(sample_step, most / params.heads);
    for (std::int64_t first = 0; first < params.batch; first += batch) {
      slices.push_back({first, std::min(batch, params.batch - first), 0, params.heads});
    }
    return slices;
  }
  const std::int64_t heads = largest_multiple(step, most);
  for (std::int64_t sample = 0; sample < params.batch; ++sample) {
    for (std::int64_t first = 0; first < params.heads; first += heads) {
      slices.push_back({sample, 1, first, std::min(heads, params.heads - first)});
    }
  }
  return slices;
}

SamplingParams slice_of(const SamplingParams& params, const GraphSlice& slice) {
  SamplingParams part = params;
  const Mover move(slice, params.heads);
  part.batch = slice.batch;
  part.heads = slice.heads;
  move.by_graph(part.query_membership, params.queries * params.clusters);
  move.by_graph(part.key_membership, params.keys * params.clusters);
  if (part.block_matrix != nullptr) {
    part.block_matrix += slice.first_head * params.clusters * params.clusters;
  }
  move.by_sample(part.query_valid, params.queries);
  move.by_sample(part.key_valid, params.keys);
  move.by_graph(part.mask_keys, 1);
  move.by_graph(part.probe_keys, 1);
  return part;
}

ForwardParams slice_of(const ForwardParams& params, const GraphSlice& slice) {
  ForwardParams part = params;
  Mover(slice, params.shape.heads).inputs(part);
  return part;
}

BackwardParams slice_of(const BackwardParams& params, const GraphSlice& slice) {
  BackwardParams part = params;
  const AttentionShape& shape = params.shape;
  const Mover move(slice, shape.heads);
  move.inputs(part);
  if (part.estimator.density_gradient != nullptr) {
    part.estimator.density_gradient += slice.first_head;
  }
  for (auto* tensor : {&part.grad_query, &part.grad_key, &part.grad_value}) {
    move.tensor(*tensor, params.precision);
  }
  move.tensor(part.grad_output, params.precision);
  move.by_graph(part.query_membership, shape.queries * shape.clusters);
  move.by_graph(part.key_membership, shape.keys * shape.clusters);
  move.by_graph(part.query_product, shape.queries * shape.clusters);
  move.by_graph(part.key_product, shape.keys * shape.clusters);
  move.by_graph(part.delta, shape.queries);
  return part;
}

}  // namespace sbm::kernels::cuda
