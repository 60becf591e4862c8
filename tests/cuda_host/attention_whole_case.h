#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "cuda_host/attention_dense_spec.h"
#include "cuda_host/attention_edges_problem.h"
#include "cuda_host/attention_edges_reference.h"
#include "cuda_host/attention_whole_spec.h"
#include "cuda_host/sampler_device.h"
#include "cuda_host/stream.h"
#include "kernels/cuda/graph_slices.h"
#include "kernels/reference/attention.h"
#include "kernels/reference/attention_estimator.h"
#include "kernels/reference/sampler.h"
#include "tests/kernels/sampler_problem.h"

// A layer from memberships to gradients: graphs drawn and routed by sample_graphs(), of which some
// take the dense path and some the edge lists, then the whole forward and backward.
namespace sbm::cuda_host {

class WholeCase {
 public:
  explicit WholeCase(const WholeSpec& spec)
      : spec_(spec),
        problem_(make_problem(spec)),
        inputs_(problem_),
        choice_(make_choice(spec)),
        query_(tensor(spec.queries, "query")),
        key_(tensor(spec.keys, "key")),
        value_(tensor(spec.keys, "value")),
        grad_output_(tensor(spec.queries, "grad_output")) {
    std::mt19937_64 generator(spec.seed);
    std::normal_distribution<float> normal;
    for (DeviceTensor* filled : {&query_, &key_, &value_, &grad_output_}) {
      filled->fill([&] { return normal(generator); });
    }
    for (PhiloxKey& key : dropout_keys_) key = generator();
    for (std::size_t h = 0; h < density_gradient_.size(); ++h) {
      density_gradient_[h] = 0.01F * static_cast<float>(1 + h);
    }
    device_dropout_keys_.upload(dropout_keys_);
    device_density_gradient_.upload(density_gradient_);
  }

  /// What a run writes; full of 0xFF at first.
  struct Outputs {
    explicit Outputs(const WholeCase& whole)
        : output(whole.tensor(whole.spec_.queries, "output")),
          grad_query(whole.tensor(whole.spec_.queries, "grad_query")),
          grad_key(whole.tensor(whole.spec_.keys, "grad_key")),
          grad_value(whole.tensor(whole.spec_.keys, "grad_value")),
          log_sum_exp(whole.floats(whole.spec_.queries, "log_sum_exp")),
          delta(whole.floats(whole.spec_.queries, "delta")),
          query_product(whole.floats(whole.spec_.queries * whole.spec_.clusters, "query_product")),
          key_product(whole.floats(whole.spec_.keys * whole.spec_.clusters, "key_product")) {}

    /// Everything, for comparing bits.
    [[nodiscard]] std::vector<std::uint8_t> bytes() const {
      std::vector<std::uint8_t> all;
      const auto append = [&](const auto& values) {
        const auto* begin = reinterpret_cast<const std::uint8_t*>(values.data());
        all.insert(all.end(), begin, begin + values.size() * sizeof(values[0]));
      };
      for (const auto* part : {&output, &grad_query, &grad_key, &grad_value}) append(part->bytes());
      for (const auto* part : {&log_sum_exp, &delta, &query_product, &key_product}) {
        append(part->download());
      }
      return all;
    }

    DeviceTensor output, grad_query, grad_key, grad_value;
    DeviceBuffer<float> log_sum_exp, delta, query_product, key_product;
  };

  [[nodiscard]] const kernels::SamplingParams& sampling() const { return inputs_.params(); }
  [[nodiscard]] const SamplerChoice& choice() const { return choice_; }

  void forward(const GraphBuffers& drawn, const Outputs& outputs) const {
    expect_ok(
        kernels::cuda::attention_forward(forward_params(drawn.graphs(), outputs), test_stream()));
  }
  void backward(const GraphBuffers& drawn, const Outputs& outputs) const {
    auto params = backward_params(drawn.graphs(), outputs);
    const DeviceBuffer<std::uint8_t> workspace(
        kernels::cuda::attention_dense_workspace_bytes(params.shape, params.precision),
        "dense_workspace");
    params.dense_workspace = workspace.data();
    expect_ok(kernels::cuda::attention_backward(params, test_stream()));
  }

  [[nodiscard]] kernels::cuda::ForwardParams forward_params(
      const kernels::cuda::SampledGraphs& graphs, const Outputs& outputs) const {
    kernels::cuda::ForwardParams params;
    fill(graphs, params);
    params.output = outputs.output.view();
    params.log_sum_exp = outputs.log_sum_exp.data();
    return params;
  }

  [[nodiscard]] kernels::cuda::BackwardParams backward_params(
      const kernels::cuda::SampledGraphs& graphs, const Outputs& outputs) const {
    kernels::cuda::BackwardParams params;
    fill(graphs, params);
    params.estimator = {.estimator = spec_.estimator,
                        .clip = kClip,
                        .density_gradient = device_density_gradient_.data(),
                        .probe_rate = spec_.probe_rate};
    params.output = outputs.output.const_view();
    params.log_sum_exp = outputs.log_sum_exp.data();
    params.grad_output = grad_output_.const_view();
    params.query_membership = sampling().query_membership;
    params.key_membership = sampling().key_membership;
    params.grad_query = outputs.grad_query.view();
    params.grad_key = outputs.grad_key.view();
    params.grad_value = outputs.grad_value.view();
    params.query_product = outputs.query_product.data();
    params.key_product = outputs.key_product.data();
    params.delta = outputs.delta.data();
    return params;
  }

  /// Heads of even number are dense, the others sparse.
  void expect_routed(const GraphBuffers& drawn) const {
    const DrawnGraphs graphs = drawn.download();
    std::vector<std::uint32_t> expected[2];
    for (std::int64_t g = 0; g < spec_.batch * spec_.heads; ++g) {
      expected[is_sparse(g) ? 1 : 0].push_back(static_cast<std::uint32_t>(g));
    }
    EXPECT_EQ(graphs.dense, expected[0]);
    EXPECT_EQ(graphs.sparse, expected[1]);
    EXPECT_EQ(graphs.invalid_values, 0U);
  }

  /// Fails the test where a graph is too far from the double-precision sampler and attention.
  void expect_near_reference(const Outputs& outputs) const {
    for (std::int64_t g = 0; g < spec_.batch * spec_.heads; ++g) {
      SCOPED_TRACE((is_sparse(g) ? "sparse graph " : "dense graph ") + std::to_string(g));
      expect_graph_near_reference(g, outputs);
    }
  }

 private:
  static constexpr float kClip = 0.05F;

  static void expect_ok(const kernels::Status& status) { EXPECT_EQ(status.message(), ""); }

  static kernels::testing::Problem make_problem(const WholeSpec& spec) {
    kernels::testing::Problem problem = kernels::testing::mixed_problem(
        spec.seed, spec.batch, spec.heads, spec.queries, spec.keys, spec.clusters, 0.9F);
    const auto entries = static_cast<std::size_t>(spec.clusters * spec.clusters);
    for (std::size_t i = 0; i < problem.block.size(); ++i) {
      // P near 22 % and near .9 %.
      if (i / entries % 2 == 1) problem.block[i] *= 0.04F;
    }
    problem.params.law = spec.law;
    problem.params.self_loops = spec.self_loops;
    problem.params.probe_rate = spec.probe_rate;
    if (spec.padded) {
      const auto pad = [&](std::int64_t tokens, std::vector<std::uint8_t>& valid) {
        for (std::int64_t t = 0; t < spec.batch * tokens; ++t) {
          valid.push_back(t % tokens < tokens - 5 && t % 11 != 4 ? 1 : 0);
        }
      };
      pad(spec.queries, problem.query_valid);
      pad(spec.keys, problem.key_valid);
    }
    problem.point();
    return problem;
  }

  static SamplerChoice make_choice(const WholeSpec& spec) {
    SamplerChoice choice;
    choice.plan = {.path = kernels::AttentionPath::kAuto,
                   .sparse_below = kernels::cuda::kSparseBelow};
    choice.edge_capacity =
        kernels::cuda::list_capacity(spec.queries, spec.keys, kernels::cuda::kSparseBelow);
    if (spec.estimator == Estimator::kTrapezoid && spec.probe_rate > 0) {
      choice.probe_capacity = spec.queries * spec.keys;
      choice.probe_mask = spec.probe_rate < 1;
    }
    return choice;
  }

  [[nodiscard]] bool is_sparse(std::int64_t graph) const { return graph % spec_.heads % 2 == 1; }

  [[nodiscard]] DeviceTensor tensor(std::int64_t tokens, const std::string& name) const {
    return {spec_.batch, spec_.heads, tokens, spec_.head_dim, 8, spec_.precision, name};
  }
  [[nodiscard]] DeviceBuffer<float> floats(std::int64_t width, const std::string& name) const {
    return DeviceBuffer<float>(static_cast<std::size_t>(spec_.batch * spec_.heads * width), name);
  }

  [[nodiscard]] static kernels::cuda::CellList cells(const std::uint32_t* offsets,
                                                     const std::uint16_t* others,
                                                     const float* gates, const float* probabilities,
                                                     std::int64_t capacity) {
    return {offsets, others, gates, probabilities, capacity};
  }

  template <class Params>
  void fill(const kernels::cuda::SampledGraphs& graphs, Params& params) const {
    params.shape = {.batch = spec_.batch,
                    .heads = spec_.heads,
                    .queries = spec_.queries,
                    .keys = spec_.keys,
                    .head_dim = spec_.head_dim,
                    .clusters = spec_.clusters,
                    .scale = 1.0F / std::sqrt(static_cast<float>(spec_.head_dim)),
                    .path = kernels::AttentionPath::kAuto,
                    .dropout = spec_.dropout,
                    .dropout_keys = device_dropout_keys_.data()};
    params.precision = spec_.precision;
    params.query = query_.const_view();
    params.key = key_.const_view();
    params.value = value_.const_view();
    const auto rows_of = [](const kernels::cuda::SampledLists& lists) {
      return cells(lists.row_offsets, lists.columns, lists.row_gates, lists.row_probabilities,
                   lists.capacity);
    };
    const auto columns_of = [](const kernels::cuda::SampledLists& lists) {
      return cells(lists.column_offsets, lists.rows, lists.column_gates, lists.column_probabilities,
                   lists.capacity);
    };
    params.edges = {.work = {graphs.sparse_graphs, graphs.sparse_count},
                    .rows = rows_of(graphs.edges),
                    .columns = columns_of(graphs.edges),
                    .probe_rows = rows_of(graphs.probes),
                    .probe_columns = columns_of(graphs.probes)};
    params.dense.work = {graphs.dense_graphs, graphs.dense_count};
    params.dense.mask = graphs.mask;
    params.dense.probe_mask = graphs.probe_mask;
    params.dense.law = {.law = spec_.law,
                        .self_loops = spec_.self_loops,
                        .exploration = 0.0,
                        .weights = graphs.weights,
                        .row_exponents = graphs.row_exponents,
                        .key_entries = graphs.key_entries,
                        .key_exponents = graphs.key_exponents,
                        .query_valid = sampling().query_valid,
                        .key_valid = sampling().key_valid};
  }

  [[nodiscard]] static Matrix block_of(const std::vector<float>& values, std::int64_t graph,
                                       std::int64_t rows, std::int64_t columns) {
    Matrix result(rows, columns);
    for (std::size_t i = 0; i < result.values().size(); ++i) {
      result.values()[i] =
          static_cast<double>(values[static_cast<std::size_t>(graph * rows * columns) + i]);
    }
    return result;
  }

  /// Memberships as the graph's path multiplies them.
  [[nodiscard]] Matrix memberships(const std::vector<float>& values, std::int64_t graph,
                                   std::int64_t tokens) const {
    Matrix result = block_of(values, graph, tokens, spec_.clusters);
    if (is_sparse(graph) || spec_.precision == Precision::kFloat32) return result;
    for (double& value : result.values()) {
      value = static_cast<double>(from_bfloat16(to_bfloat16(static_cast<float>(value))));
    }
    return result;
  }

  void mark_cells(std::int64_t graph, kernels::reference::AttentionInput& input,
                  kernels::reference::EstimatorInput& form) const {
    const kernels::reference::SampledGraph sampler(problem_.params, graph / spec_.heads,
                                                   graph % spec_.heads);
    const kernels::EdgeList edges = sampler.sample();
    for (std::int64_t i = 0; i < spec_.queries; ++i) {
      const auto row = static_cast<std::size_t>(i);
      for (std::int64_t e = edges.row_offsets[row]; e < edges.row_offsets[row + 1]; ++e) {
        input.mask(i, edges.columns[static_cast<std::size_t>(e)]) = 1;
      }
      for (const std::int32_t j : sampler.probes(i)) {
        if (input.mask(i, j) == 0) form.probes(i, j) = 1;
      }
      for (std::int64_t j = 0; j < spec_.keys; ++j) {
        const bool decided = i == j && spec_.self_loops != kernels::SelfLoops::kNone;
        const bool closed = decided || !sampler.is_valid(i, j);
        form.law.probability(i, j) = static_cast<double>(sampler.threshold(i, j)) * 0x1p-32;
        form.law.gate(i, j) = closed ? 0.0 : static_cast<double>(sampler.gate(i, j));
      }
    }
  }

  void expect_graph_near_reference(std::int64_t g, const Outputs& outputs) const {
    const std::int64_t b = g / spec_.heads;
    const std::int64_t h = g % spec_.heads;
    const auto head = [&](const DeviceTensor& found) { return found.matrix(found.bytes(), b, h); };
    kernels::reference::AttentionInput input{
        .query = head(query_),
        .key = head(key_),
        .value = head(value_),
        .mask = Matrix(spec_.queries, spec_.keys),
        .scale = static_cast<double>(1.0F / std::sqrt(static_cast<float>(spec_.head_dim))),
        .dropout_factor = {}};
    kernels::reference::EstimatorInput form;
    form.estimator = spec_.estimator;
    form.clip = static_cast<double>(kClip);
    form.density_gradient = static_cast<double>(density_gradient_[static_cast<std::size_t>(h)]);
    form.probe_rate = spec_.probe_rate;
    form.probes = Matrix(spec_.queries, spec_.keys);
    form.law.gate = Matrix(spec_.queries, spec_.keys);
    form.law.probability = Matrix(spec_.queries, spec_.keys);
    mark_cells(g, input, form);
    if (spec_.dropout > 0) {
      input.dropout_factor = kernels::reference::dropout_factors(
          spec_.queries, spec_.keys, spec_.dropout, dropout_keys_[static_cast<std::size_t>(g)]);
    }
    const Matrix grad_output = head(grad_output_);
    auto forward = kernels::reference::attention_forward(input);
    auto gradient = kernels::reference::attention_backward(input, forward, grad_output);

    // bf16: weights, dL/ds, G and outputs are rounded, each with an error up to 2^-9.
    const double tolerance = spec_.precision == Precision::kBfloat16 ? 1.5 * 0x1p-8 : 1e-5;
    const auto expect = [&](const Matrix& found, const Matrix& expected, const char* name) {
      kernels::cuda::expect_close(found, expected, tolerance,
                                  0.01 * static_cast<double>(spec_.head_dim), name);
    };
    const Matrix output = head(outputs.output);
    expect(output, forward.output, "output");
    // Backward is given the stored output: what its rounding changes of delta is no error of the
    // kernels.
    add_delta_change(input, forward, output, grad_output, gradient);
    forward.output = output;
    const Matrix estimates =
        kernels::reference::estimator_gradient(input, forward, grad_output, form);
    expect(head(outputs.grad_query), gradient.query, "grad_query");
    expect(head(outputs.grad_key), gradient.key, "grad_key");
    expect(head(outputs.grad_value), gradient.value, "grad_value");
    expect(block_of(outputs.query_product.download(), g, spec_.queries, spec_.clusters),
           product(estimates, memberships(problem_.key, g, spec_.keys)), "query_product");
    expect(block_of(outputs.key_product.download(), g, spec_.keys, spec_.clusters),
           product(transposed(estimates), memberships(problem_.query, g, spec_.queries)),
           "key_product");
    const std::vector<float> log_sum_exp = outputs.log_sum_exp.download();
    for (std::int64_t i = 0; i < spec_.queries; ++i) {
      const double expected = forward.log_sum_exp[static_cast<std::size_t>(i)];
      const auto found =
          static_cast<double>(log_sum_exp[static_cast<std::size_t>(g * spec_.queries + i)]);
      if (std::isinf(expected)) {
        EXPECT_EQ(found, expected) << "log_sum_exp of row " << i;
      } else {
        EXPECT_NEAR(found, expected, 2e-6 * std::max(1.0, std::abs(expected)));
      }
    }
  }

  WholeSpec spec_;
  kernels::testing::Problem problem_;
  SamplerInputs inputs_;
  SamplerChoice choice_;
  DeviceTensor query_, key_, value_, grad_output_;
  std::vector<PhiloxKey> dropout_keys_ =
      std::vector<PhiloxKey>(static_cast<std::size_t>(spec_.batch * spec_.heads));
  std::vector<float> density_gradient_ = std::vector<float>(static_cast<std::size_t>(spec_.heads));
  DeviceBuffer<PhiloxKey> device_dropout_keys_{dropout_keys_.size(), "dropout_keys"};
  DeviceBuffer<float> device_density_gradient_{density_gradient_.size(), "density_gradient"};
};

}  // namespace sbm::cuda_host
