#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "cuda_host/attention_edges_problem.h"
#include "cuda_host/attention_edges_reference.h"
#include "cuda_host/order.h"
#include "cuda_host/stream.h"

namespace sbm::cuda_host {

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

inline void expect_ok(const kernels::Status& status) {
  EXPECT_TRUE(status.ok()) << status.message();
}

/// How the kernels of a case are launched.
struct EdgeLaunches {
  std::function<void(const kernels::cuda::ForwardParams&)> forward =
      [](const kernels::cuda::ForwardParams& params) {
        expect_ok(kernels::cuda::attention_forward_edges(params, test_stream()));
      };
  std::function<void(const kernels::cuda::BackwardParams&)> backward =
      [](const kernels::cuda::BackwardParams& params) {
        expect_ok(kernels::cuda::attention_delta(params, test_stream()));
        expect_ok(kernels::cuda::attention_backward_edges(params, test_stream()));
      };
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

  /// Forward, delta and backward in the current order, by the entry points or by `launches`.
  [[nodiscard]] EdgeOutputs run(const EdgeLaunches& launches = {}) const {
    DeviceTensor output = tensor(spec_.queries, "output");
    // Delta is computed of all graphs: here nobody else writes the output of the others.
    if (work_.size() < graphs_.size()) output.fill([] { return 0.0F; });
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
    launches.forward(forward);

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
    launches.backward(backward);
    const std::initializer_list<const DeviceTensor*> all_written = {&output, &grad_query, &grad_key,
                                                                    &grad_value};
    for (const DeviceTensor* written : all_written) {
      EXPECT_TRUE(written->gaps_untouched(written->bytes()));
    }
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
    return edges;
  }

  void expect_graph_near_reference(const EdgeOutputs& outputs, std::uint32_t graph) const {
    const std::int64_t g = graph;
    const std::int64_t b = g / spec_.heads;
    const std::int64_t h = g % spec_.heads;
    const ReferenceHead head = {
        .spec = spec_,
        .graph = graphs_[graph],
        .query = query_.matrix(query_.bytes(), b, h),
        .key = key_.matrix(key_.bytes(), b, h),
        .value = value_.matrix(value_.bytes(), b, h),
        .grad_output = grad_output_.matrix(grad_output_.bytes(), b, h),
        .query_membership = query_membership_.matrix(query_membership_.bytes(), g, 0),
        .key_membership = key_membership_.matrix(key_membership_.bytes(), g, 0),
        .scale = static_cast<double>(shape().scale),
        .density_gradient = static_cast<double>(density_gradient_[static_cast<std::size_t>(h)]),
        .dropout_key = dropout_keys_[graph]};
    const DeviceTensor rows = tensor(spec_.queries, "rows");
    const DeviceTensor columns = tensor(spec_.keys, "columns");
    SCOPED_TRACE("graph " + std::to_string(g));
    expect_near_reference_head(
        head,
        {.output = rows.matrix(outputs.output, b, h),
         .grad_query = rows.matrix(outputs.grad_query, b, h),
         .grad_key = columns.matrix(outputs.grad_key, b, h),
         .grad_value = columns.matrix(outputs.grad_value, b, h),
         .query_product = dense_matrix(outputs.query_product, g, spec_.queries, spec_.clusters),
         .key_product = dense_matrix(outputs.key_product, g, spec_.keys, spec_.clusters),
         .log_sum_exp = dense_matrix(outputs.log_sum_exp, g, spec_.queries, 1)});
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
