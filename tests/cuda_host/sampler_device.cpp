#include "cuda_host/sampler_device.h"

#include "kernels/cuda/graph_slices.h"

namespace sbm::cuda_host {
namespace {

using kernels::SamplingParams;
using kernels::cuda::EntryBytes;

std::size_t size(std::int64_t count) { return static_cast<std::size_t>(count); }

}  // namespace

ListBuffers::ListBuffers(const std::string& name, std::int64_t graphs, std::int64_t queries,
                         std::int64_t keys, std::int64_t capacity)
    : capacity_(capacity),
      row_offsets_(size(capacity > 0 ? graphs * (queries + 1) : 0), name + ".row_offsets"),
      columns_(size(graphs * capacity), name + ".columns"),
      column_offsets_(size(capacity > 0 ? graphs * (keys + 1) : 0), name + ".column_offsets"),
      rows_(size(graphs * capacity), name + ".rows"),
      row_gates_(size(graphs * capacity), name + ".row_gates"),
      column_gates_(size(graphs * capacity), name + ".column_gates"),
      row_probabilities_(size(graphs * capacity), name + ".row_probabilities"),
      column_probabilities_(size(graphs * capacity), name + ".column_probabilities") {}

kernels::cuda::SampledLists ListBuffers::lists() const {
  if (capacity_ == 0) return {};
  return {.capacity = capacity_,
          .row_offsets = row_offsets_.data(),
          .columns = columns_.data(),
          .column_offsets = column_offsets_.data(),
          .rows = rows_.data(),
          .row_gates = row_gates_.data(),
          .column_gates = column_gates_.data(),
          .row_probabilities = row_probabilities_.data(),
          .column_probabilities = column_probabilities_.data()};
}

DrawnLists ListBuffers::download() const {
  return {.row_offsets = row_offsets_.download(),
          .columns = columns_.download(),
          .column_offsets = column_offsets_.download(),
          .rows = rows_.download(),
          .row_gates = row_gates_.download(),
          .column_gates = column_gates_.download(),
          .row_probabilities = row_probabilities_.download(),
          .column_probabilities = column_probabilities_.download()};
}

SamplerInputs::SamplerInputs(const kernels::testing::Problem& problem)
    : query_(problem.query, "query_membership"),
      key_(problem.key, "key_membership"),
      block_(problem.block, "block_matrix"),
      query_valid_(problem.query_valid, "query_valid"),
      key_valid_(problem.key_valid, "key_valid"),
      mask_keys_(problem.mask_keys, "mask_keys"),
      probe_keys_(problem.probe_keys, "probe_keys"),
      params_(problem.params) {
  params_.query_membership = query_.data();
  params_.key_membership = key_.data();
  params_.block_matrix = block_.data();
  params_.query_valid = problem.query_valid.empty() ? nullptr : query_valid_.data();
  params_.key_valid = problem.key_valid.empty() ? nullptr : key_valid_.data();
  params_.mask_keys = mask_keys_.data();
  params_.probe_keys = probe_keys_.data();
}

GraphBuffers::GraphBuffers(const SamplingParams& params, const SamplerChoice& choice)
    : choice_(choice),
      mask_(kernels::cuda::mask_bytes(params) / sizeof(std::uint64_t), "mask"),
      probe_mask_(choice.probe_mask ? mask_.size() : 0, "probe_mask"),
      edges_("edges", params.batch * params.heads, params.queries, params.keys,
             choice.edge_capacity),
      probes_("probes", params.batch * params.heads, params.queries, params.keys,
              choice.probe_capacity),
      dense_(size(params.batch * params.heads), "dense_graphs"),
      dense_count_(1, "dense_count"),
      sparse_(size(params.batch * params.heads), "sparse_graphs"),
      sparse_count_(1, "sparse_count"),
      weights_(size(params.batch * params.heads * params.queries *
                    kernels::cuda::entry_units(params.clusters)),
               "weights"),
      row_exponents_(size(params.batch * params.heads * params.queries), "row_exponents"),
      key_entries_(size(params.batch * params.heads * params.keys *
                        kernels::cuda::entry_units(params.clusters)),
                   "key_entries"),
      key_exponents_(size(params.batch * params.heads * params.keys), "key_exponents"),
      edge_counts_(size(params.batch * params.heads * 3), "edge_counts"),
      invalid_values_(1, "invalid_values"),
      workspace_(kernels::cuda::sampling_workspace_bytes(params), "workspace") {}

kernels::cuda::SampledGraphs GraphBuffers::graphs() const {
  return {.mask = mask_.data(),
          .probe_mask = choice_.probe_mask ? probe_mask_.data() : nullptr,
          .edges = edges_.lists(),
          .probes = probes_.lists(),
          .dense_graphs = dense_.data(),
          .dense_count = dense_count_.data(),
          .sparse_graphs = sparse_.data(),
          .sparse_count = sparse_count_.data(),
          .weights = weights_.data(),
          .row_exponents = row_exponents_.data(),
          .key_entries = key_entries_.data(),
          .key_exponents = key_exponents_.data(),
          .edge_counts = edge_counts_.data(),
          .invalid_values = invalid_values_.data()};
}

void GraphBuffers::draw(const SamplingParams& params) const {
  const kernels::Status status = kernels::cuda::sample_graphs(
      params, choice_.plan, graphs(), workspace_.data(), workspace_.size(), test_stream());
  EXPECT_EQ(status.message(), "");
}

DrawnGraphs GraphBuffers::download() const {
  DrawnGraphs drawn{.mask = mask_.download(),
                    .probe_mask = probe_mask_.download(),
                    .edges = edges_.download(),
                    .probes = probes_.download(),
                    .dense = dense_.download(),
                    .sparse = sparse_.download(),
                    .weights = weights_.download(),
                    .row_exponents = row_exponents_.download(),
                    .key_entries = key_entries_.download(),
                    .key_exponents = key_exponents_.download(),
                    .edge_counts = edge_counts_.download(),
                    .invalid_values = invalid_values_.download()[0]};
  drawn.dense.resize(dense_count_.download()[0]);
  drawn.sparse.resize(sparse_count_.download()[0]);
  return drawn;
}

DrawnGraphs draw_on_device(kernels::testing::Problem& problem, const SamplerChoice& choice) {
  problem.point();
  const SamplerInputs inputs(problem);
  const GraphBuffers buffers(inputs.params(), choice);
  buffers.draw(inputs.params());
  return buffers.download();
}

}  // namespace sbm::cuda_host
