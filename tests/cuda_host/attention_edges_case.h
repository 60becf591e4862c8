#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "cuda_host/attention_edges_problem.h"
#include "cuda_host/order.h"
#include "cuda_host/stream.h"

namespace sbm::cuda_host {

struct EdgeCaseSpec {
  std::int64_t batch = 1;
  std::int64_t heads = 1;
  std::int64_t queries = 1;
  std::int64_t keys = 1;
  std::int64_t head_dim = 32;
  std::int64_t clusters = 8;
  Precision precision = Precision::kFloat32;
  Estimator estimator = Estimator::kPaper;
  float clip = 1.0F;
  double probe_rate = 0.3;
  double dropout = 0.0;
  std::int64_t gap = 0;    ///< between rows, in elements; a multiple of 8
  bool score_nan = false;  ///< Q is full of NaN
  std::uint64_t seed = 1;

  [[nodiscard]] std::string name() const {
    return "batch " + std::to_string(batch) + " heads " + std::to_string(heads) + " n " +
           std::to_string(queries) + " m " + std::to_string(keys) + " d " +
           std::to_string(head_dim) + " k " + std::to_string(clusters) + " precision " +
           std::to_string(static_cast<int>(precision)) + " estimator " +
           std::to_string(static_cast<int>(estimator)) + " dropout " + std::to_string(dropout);
  }
};

/// What a run wrote, as bytes.
struct EdgeOutputs {
  std::vector<std::uint8_t> output, grad_query, grad_key, grad_value;
  std::vector<float> log_sum_exp, query_product, key_product;

  /// Everything, for comparing bits.
  [[nodiscard]] std::vector<std::uint8_t> all() const {
    std::vector<std::uint8_t> bytes;
    for (const auto* part : {&output, &grad_query, &grad_key, &grad_value}) {
      bytes.insert(bytes.end(), part->begin(), part->end());
    }
    for (const auto* part : {&log_sum_exp, &query_product, &key_product}) {
      const auto* begin = reinterpret_cast<const std::uint8_t*>(part->data());
      bytes.insert(bytes.end(), begin, begin + part->size() * sizeof(float));
    }
    return bytes;
  }
};

/// Random Q, K, V, dO and memberships around given graphs, on the device.
class EdgeCase {
 public:
  /// `work` are the graphs that the path owns, in the order of its list.
  EdgeCase(const EdgeCaseSpec& spec, std::vector<EdgeList> graphs, std::vector<std::uint32_t> work)
      : spec_(spec),
        graphs_(std::move(graphs)),
        work_(std::move(work)),
        query_(tensor(spec.queries, "query")),
        key_(tensor(spec.keys, "key")),
        value_(tensor(spec.keys, "value")),
        grad_output_(tensor(spec.queries, "grad_output")),
        query_membership_(memberships(spec.queries, "query_membership")),
        key_membership_(memberships(spec.keys, "key_membership")),
        work_count_(std::vector{static_cast<std::uint32_t>(work_.size())}, "work count"),
        work_graphs_(padded_work(), "work graphs"),
        edge_rows_(graphs_, spec.queries, spec.keys, false, false, "edge rows"),
        edge_columns_(graphs_, spec.queries, spec.keys, false, true, "edge columns") {
    if (has_probes()) {
      probe_rows_.emplace(graphs_, spec.queries, spec.keys, true, false, "probe rows");
      probe_columns_.emplace(graphs_, spec.queries, spec.keys, true, true, "probe columns");
    }
    std::mt19937_64 generator(spec.seed);
    std::normal_distribution<float> normal;
    std::uniform_real_distribution<float> uniform(0.0F, 1.0F);
    for (DeviceTensor* filled : {&query_, &key_, &value_, &grad_output_}) {
      filled->fill([&] { return normal(generator); });
    }
    if (spec.score_nan) query_.fill([] { return std::numeric_limits<float>::quiet_NaN(); });
    for (DeviceTensor* filled : {&query_membership_, &key_membership_}) {
      filled->fill([&] { return uniform(generator); });
    }
    for (std::int64_t g = 0; g < spec.batch * spec.heads; ++g) dropout_keys_.push_back(generator());
    for (std::int64_t h = 0; h < spec.heads; ++h) {
      density_gradient_.push_back(0.01F * static_cast<float>(1 + h));
    }
    device_dropout_keys_.upload(dropout_keys_);
    device_density_gradient_.upload(density_gradient_);
  }

  /// Forward, delta and backward in the current order.
  [[nodiscard]] EdgeOutputs run() const {
    const DeviceTensor output = tensor(spec_.queries, "output");
    const DeviceTensor grad_query = tensor(spec_.queries, "grad_query");
    const DeviceTensor grad_key = tensor(spec_.keys, "grad_key");
    const DeviceTensor grad_value = tensor(spec_.keys, "grad_value");
    const std::int64_t graphs = spec_.batch * spec_.heads;
    const auto floats = [](std::int64_t count, const char* name) {
      return DeviceBuffer<float>(static_cast<std::size_t>(count), name);
    };
    const DeviceBuffer<float> log_sum_exp = floats(graphs * spec_.queries, "log_sum_exp");
    const DeviceBuffer<float> delta = floats(graphs * spec_.queries, "delta");
    const DeviceBuffer<float> query_product =
        floats(graphs * spec_.queries * spec_.clusters, "query_product");
    const DeviceBuffer<float> key_product =
        floats(graphs * spec_.keys * spec_.clusters, "key_product");

    kernels::cuda::ForwardParams forward;
    forward.shape = shape();
    forward.precision = spec_.precision;
    forward.query = query_.const_view();
    forward.key = key_.const_view();
    forward.value = value_.const_view();
    forward.edges = edges();
    forward.output = output.view();
    forward.log_sum_exp = log_sum_exp.data();
    expect_ok(kernels::cuda::attention_forward_edges(forward, test_stream()));

    kernels::cuda::BackwardParams backward;
    backward.shape = forward.shape;
    backward.precision = spec_.precision;
    backward.estimator = {.estimator = spec_.estimator,
                          .clip = spec_.clip,
                          .density_gradient = device_density_gradient_.data(),
                          .probe_rate = spec_.probe_rate};
    backward.query = forward.query;
    backward.key = forward.key;
    backward.value = forward.value;
    backward.edges = forward.edges;
    backward.output = output.const_view();
    backward.log_sum_exp = log_sum_exp.data();
    backward.grad_output = grad_output_.const_view();
    backward.query_membership = static_cast<const float*>(query_membership_.const_view().data);
    backward.key_membership = static_cast<const float*>(key_membership_.const_view().data);
    backward.grad_query = grad_query.view();
    backward.grad_key = grad_key.view();
    backward.grad_value = grad_value.view();
    backward.query_product = query_product.data();
    backward.key_product = key_product.data();
    backward.delta = delta.data();
    EXPECT_EQ(kernels::cuda::attention_delta_bytes(backward.shape), delta.size() * sizeof(float));
    expect_ok(kernels::cuda::attention_delta(backward, test_stream()));
    expect_ok(kernels::cuda::attention_backward_edges(backward, test_stream()));
    EXPECT_TRUE(output.gaps_untouched(output.bytes()));
    EXPECT_TRUE(grad_query.gaps_untouched(grad_query.bytes()));
    EXPECT_TRUE(grad_key.gaps_untouched(grad_key.bytes()));
    EXPECT_TRUE(grad_value.gaps_untouched(grad_value.bytes()));
    return {.output = output.bytes(),
            .grad_query = grad_query.bytes(),
            .grad_key = grad_key.bytes(),
            .grad_value = grad_value.bytes(),
            .log_sum_exp = log_sum_exp.download(),
            .query_product = query_product.download(),
            .key_product = key_product.download()};
  }

  /// Runs in every order: the same bits, near the reference.
  void check() const {
    SCOPED_TRACE(spec_.name());
    std::vector<std::uint8_t> first;
    for_each_order([&] { check_order(first); });
  }

  /// The same in two orders, for the many instances of kernels that check() has been through.
  void check_briefly() const {
    SCOPED_TRACE(spec_.name());
    std::vector<std::uint8_t> first;
    const Order before = current_order();
    for (const Order& order : {Order{Order::Kind::kReverse, 0}, Order{Order::Kind::kRandom, 3}}) {
      set_order(order);
      check_order(first);
    }
    set_order(before);
  }

  /// Compares some graphs with the reference, fed with the rounded inputs.
  void expect_near_reference(const EdgeOutputs& outputs,
                             const std::vector<std::uint32_t>& graphs) const {
    for (const std::uint32_t graph : graphs) expect_graph_near_reference(outputs, graph);
  }

 private:
  void check_order(std::vector<std::uint8_t>& first) const {
    const EdgeOutputs outputs = run();
    if (first.empty()) {
      first = outputs.all();
      expect_near_reference(outputs, work_);
    }
    EXPECT_TRUE(outputs.all() == first) << "other bits in order " << current_order().name();
  }

  [[nodiscard]] DeviceTensor tensor(std::int64_t tokens, const std::string& name) const {
    return {spec_.batch, spec_.heads, tokens, spec_.head_dim, spec_.gap, spec_.precision, name};
  }

  /// The k-wide arrays are dense: [batch * heads, tokens, clusters] as one head of many batches.
  [[nodiscard]] DeviceTensor memberships(std::int64_t tokens, const std::string& name) const {
    return {spec_.batch * spec_.heads, 1, tokens, spec_.clusters, 0, Precision::kFloat32, name};
  }

  /// The list has room for all graphs; what is behind its end names none.
  [[nodiscard]] std::vector<std::uint32_t> padded_work() const {
    std::vector<std::uint32_t> list = work_;
    list.resize(graphs_.size(), 0xFFFFFFFF);
    return list;
  }

  [[nodiscard]] bool has_probes() const {
    return spec_.estimator == Estimator::kTrapezoid && !graphs_.front().probes.row_offsets.empty();
  }

  [[nodiscard]] kernels::AttentionShape shape() const {
    return {.batch = spec_.batch,
            .heads = spec_.heads,
            .queries = spec_.queries,
            .keys = spec_.keys,
            .head_dim = spec_.head_dim,
            .clusters = spec_.clusters,
            .scale = 1.0F / std::sqrt(static_cast<float>(spec_.head_dim)),
            .path = kernels::AttentionPath::kSparse,
            .dropout = spec_.dropout,
            .dropout_keys = device_dropout_keys_.data()};
  }

  [[nodiscard]] kernels::cuda::EdgeGraphs edges() const {
    kernels::cuda::EdgeGraphs edges;
    edges.work = {.graphs = work_graphs_.data(), .count = work_count_.data()};
    edges.rows = edge_rows_.list();
    edges.columns = edge_columns_.list();
    if (has_probes()) {
      edges.probe_rows = probe_rows_->list();
      edges.probe_columns = probe_columns_->list();
    }
    edges.diagonal_forced = graphs_.front().diagonal_forced;
    return edges;
  }

  static void expect_ok(const kernels::Status& status) {
    EXPECT_TRUE(status.ok()) << status.message();
  }

  /// Marks the cells of a graph in the reference's matrices.
  void mark(const EdgeList& graph, kernels::reference::AttentionInput& input,
            kernels::reference::EstimatorInput& form) const {
    for (std::int64_t i = 0; i < spec_.queries; ++i) {
      const auto row = static_cast<std::size_t>(i);
      for (auto e = static_cast<std::size_t>(graph.row_offsets[row]);
           e < static_cast<std::size_t>(graph.row_offsets[row + 1]); ++e) {
        const std::int64_t j = graph.columns[e];
        input.mask(i, j) = 1;
        if (!graph.gates.empty()) {
          form.law.gate(i, j) = static_cast<double>(graph.gates[e]);
        } else if (graph.diagonal_forced && i == j) {
          form.law.gate(i, j) = 0;
        }
        if (!graph.probabilities.empty()) {
          form.law.probability(i, j) = static_cast<double>(graph.probabilities[e]);
        }
      }
      if (!has_probes()) continue;
      const kernels::ProbeList& probes = graph.probes;
      for (auto p = static_cast<std::size_t>(probes.row_offsets[row]);
           p < static_cast<std::size_t>(probes.row_offsets[row + 1]); ++p) {
        const std::int64_t j = probes.columns[p];
        form.probes(i, j) = 1;
        form.law.probability(i, j) = static_cast<double>(probes.probabilities[p]);
        if (!probes.gates.empty()) form.law.gate(i, j) = static_cast<double>(probes.gates[p]);
      }
    }
  }

  /// Adds to dQ and dK what comes of dO . `stored` instead of dO . O in the softmax's Jacobian.
  static void add_delta_change(const kernels::reference::AttentionInput& input,
                               const kernels::reference::AttentionResult& forward,
                               const Matrix& stored, const Matrix& grad_output,
                               kernels::reference::AttentionGradient& gradient) {
    Matrix change = forward.weights;
    for (std::int64_t i = 0; i < change.rows(); ++i) {
      double delta_change = 0.0;
      for (std::int64_t c = 0; c < stored.columns(); ++c) {
        delta_change += grad_output(i, c) * (forward.output(i, c) - stored(i, c));
      }
      for (std::int64_t j = 0; j < change.columns(); ++j) {
        change(i, j) *= input.scale * delta_change;
      }
    }
    const auto add = [](Matrix& to, const Matrix& other) {
      for (std::size_t i = 0; i < to.values().size(); ++i) to.values()[i] += other.values()[i];
    };
    add(gradient.query, product(change, input.key));
    add(gradient.key, product(transposed(change), input.query));
  }

  void expect_graph_near_reference(const EdgeOutputs& outputs, std::uint32_t graph) const {
    const std::int64_t g = graph;
    const std::int64_t b = g / spec_.heads;
    const std::int64_t h = g % spec_.heads;
    kernels::reference::AttentionInput input{.query = query_.matrix(query_.bytes(), b, h),
                                             .key = key_.matrix(key_.bytes(), b, h),
                                             .value = value_.matrix(value_.bytes(), b, h),
                                             .mask = Matrix(spec_.queries, spec_.keys),
                                             .scale = static_cast<double>(shape().scale),
                                             .dropout_factor = {}};
    kernels::reference::EstimatorInput form;
    form.estimator = spec_.estimator;
    form.clip = static_cast<double>(spec_.clip);
    form.density_gradient = static_cast<double>(density_gradient_[static_cast<std::size_t>(h)]);
    form.probe_rate = spec_.probe_rate;
    form.probes = Matrix(spec_.queries, spec_.keys);
    form.law.gate = Matrix(spec_.queries, spec_.keys, 1.0);
    form.law.probability = Matrix(spec_.queries, spec_.keys, 0.5);
    mark(graphs_[graph], input, form);
    if (spec_.dropout > 0) {
      input.dropout_factor = kernels::reference::dropout_factors(
          spec_.queries, spec_.keys, spec_.dropout, dropout_keys_[graph]);
    }
    const Matrix grad_output = grad_output_.matrix(grad_output_.bytes(), b, h);
    auto forward = kernels::reference::attention_forward(input);
    auto gradient = kernels::reference::attention_backward(input, forward, grad_output);

    // Elements of bf16 are off by up to 2^-9; everything else is float32.
    const double tolerance = spec_.precision == Precision::kBfloat16 ? 2.5e-3 : 1e-5;
    constexpr double kProductTolerance = 1e-5;
    const Matrix stored = tensor(spec_.queries, "output").matrix(outputs.output, b, h);
    EXPECT_LE(relative_distance(stored, forward.output), tolerance) << "output of graph " << g;
    // Backward is given the stored output: what its rounding changes of delta is no error of the
    // kernels.
    add_delta_change(input, forward, stored, grad_output, gradient);
    forward.output = stored;
    const Matrix cells = kernels::reference::estimator_gradient(input, forward, grad_output, form);
    const auto expect_tensor = [&](const std::vector<std::uint8_t>& bytes, std::int64_t tokens,
                                   const Matrix& expected, const char* name) {
      EXPECT_LE(relative_distance(tensor(tokens, name).matrix(bytes, b, h), expected), tolerance)
          << name << " of graph " << g;
    };
    expect_tensor(outputs.grad_query, spec_.queries, gradient.query, "grad_query");
    expect_tensor(outputs.grad_key, spec_.keys, gradient.key, "grad_key");
    expect_tensor(outputs.grad_value, spec_.keys, gradient.value, "grad_value");
    const auto expect_product = [&](const std::vector<float>& values, std::int64_t tokens,
                                    const Matrix& expected, const char* name) {
      Matrix found(tokens, spec_.clusters);
      const auto size = static_cast<std::int64_t>(found.values().size());
      for (std::int64_t i = 0; i < size; ++i) {
        found.values()[static_cast<std::size_t>(i)] =
            static_cast<double>(values[static_cast<std::size_t>(g * size + i)]);
      }
      EXPECT_LE(relative_distance(found, expected), kProductTolerance) << name << " of graph " << g;
    };
    expect_product(outputs.query_product, spec_.queries,
                   product(cells, key_membership_.matrix(key_membership_.bytes(), g, 0)),
                   "query_product");
    expect_product(
        outputs.key_product, spec_.keys,
        product(transposed(cells), query_membership_.matrix(query_membership_.bytes(), g, 0)),
        "key_product");
    for (std::int64_t i = 0; i < spec_.queries; ++i) {
      const double expected = forward.log_sum_exp[static_cast<std::size_t>(i)];
      const auto found =
          static_cast<double>(outputs.log_sum_exp[static_cast<std::size_t>(g * spec_.queries + i)]);
      if (std::isinf(expected)) {
        EXPECT_EQ(found, expected) << "log_sum_exp of row " << i;
      } else {
        EXPECT_NEAR(found, expected, 2e-6 * std::max(1.0, std::abs(expected)));
      }
    }
  }

  EdgeCaseSpec spec_;
  std::vector<EdgeList> graphs_;
  std::vector<std::uint32_t> work_;
  DeviceTensor query_, key_, value_, grad_output_, query_membership_, key_membership_;
  DeviceBuffer<std::uint32_t> work_count_, work_graphs_;
  DeviceCells edge_rows_, edge_columns_;
  std::optional<DeviceCells> probe_rows_, probe_columns_;
  std::vector<PhiloxKey> dropout_keys_;
  std::vector<float> density_gradient_;
  DeviceBuffer<PhiloxKey> device_dropout_keys_{static_cast<std::size_t>(spec_.batch * spec_.heads),
                                               "dropout keys"};
  DeviceBuffer<float> device_density_gradient_{static_cast<std::size_t>(spec_.heads),
                                               "density gradient"};
};

}  // namespace sbm::cuda_host
