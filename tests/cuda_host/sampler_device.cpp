#include "cuda_host/sampler_device.h"

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

DrawnGraphs draw_on_device(kernels::testing::Problem& problem, const SamplerChoice& choice) {
  SamplingParams params = problem.point();
  const std::int64_t graphs = problem.graphs();
  const DeviceBuffer<float> query(problem.query, "query_membership");
  const DeviceBuffer<float> key(problem.key, "key_membership");
  const DeviceBuffer<float> block(problem.block, "block_matrix");
  const DeviceBuffer<std::uint8_t> query_valid(problem.query_valid, "query_valid");
  const DeviceBuffer<std::uint8_t> key_valid(problem.key_valid, "key_valid");
  const DeviceBuffer<PhiloxKey> mask_keys(problem.mask_keys, "mask_keys");
  const DeviceBuffer<PhiloxKey> probe_keys(problem.probe_keys, "probe_keys");
  params.query_membership = query.data();
  params.key_membership = key.data();
  params.block_matrix = block.data();
  params.query_valid = problem.query_valid.empty() ? nullptr : query_valid.data();
  params.key_valid = problem.key_valid.empty() ? nullptr : key_valid.data();
  params.mask_keys = mask_keys.data();
  params.probe_keys = probe_keys.data();

  const std::int64_t words = graphs * kernels::cuda::mask_words(params.queries, params.keys);
  const std::int64_t units = kernels::cuda::entry_units(params.clusters);
  const DeviceBuffer<std::uint64_t> mask(size(words), "mask");
  const DeviceBuffer<std::uint64_t> probe_mask(choice.probe_mask ? size(words) : 0, "probe_mask");
  const ListBuffers edges("edges", graphs, params.queries, params.keys, choice.edge_capacity);
  const ListBuffers probes("probes", graphs, params.queries, params.keys, choice.probe_capacity);
  const DeviceBuffer<std::uint32_t> dense(size(graphs), "dense_graphs");
  const DeviceBuffer<std::uint32_t> dense_count(1, "dense_count");
  const DeviceBuffer<std::uint32_t> sparse(size(graphs), "sparse_graphs");
  const DeviceBuffer<std::uint32_t> sparse_count(1, "sparse_count");
  const DeviceBuffer<EntryBytes> weights(size(graphs * params.queries * units), "weights");
  const DeviceBuffer<std::int32_t> row_exponents(size(graphs * params.queries), "row_exponents");
  const DeviceBuffer<EntryBytes> key_entries(size(graphs * params.keys * units), "key_entries");
  const DeviceBuffer<std::uint8_t> key_exponents(size(graphs * params.keys), "key_exponents");
  const DeviceBuffer<std::int64_t> edge_counts(size(graphs * 3), "edge_counts");
  const DeviceBuffer<std::uint32_t> invalid_values(1, "invalid_values");
  const std::size_t workspace_bytes = kernels::cuda::sampling_workspace_bytes(params);
  const DeviceBuffer<std::uint8_t> workspace(workspace_bytes, "workspace");

  const kernels::cuda::SampledGraphs out = {
      .mask = mask.data(),
      .probe_mask = choice.probe_mask ? probe_mask.data() : nullptr,
      .edges = edges.lists(),
      .probes = probes.lists(),
      .dense_graphs = dense.data(),
      .dense_count = dense_count.data(),
      .sparse_graphs = sparse.data(),
      .sparse_count = sparse_count.data(),
      .weights = weights.data(),
      .row_exponents = row_exponents.data(),
      .key_entries = key_entries.data(),
      .key_exponents = key_exponents.data(),
      .edge_counts = edge_counts.data(),
      .invalid_values = invalid_values.data()};
  const kernels::Status status = kernels::cuda::sample_graphs(
      params, choice.plan, out, workspace.data(), workspace_bytes, test_stream());
  EXPECT_EQ(status.message(), "");

  DrawnGraphs drawn{.mask = mask.download(),
                    .probe_mask = probe_mask.download(),
                    .edges = edges.download(),
                    .probes = probes.download(),
                    .dense = dense.download(),
                    .sparse = sparse.download(),
                    .weights = weights.download(),
                    .row_exponents = row_exponents.download(),
                    .key_entries = key_entries.download(),
                    .key_exponents = key_exponents.download(),
                    .edge_counts = edge_counts.download(),
                    .invalid_values = invalid_values.download()[0]};
  drawn.dense.resize(dense_count.download()[0]);
  drawn.sparse.resize(sparse_count.download()[0]);
  return drawn;
}

}  // namespace sbm::cuda_host
