#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "cuda_host/device_buffer.h"
#include "cuda_host/stream.h"
#include "kernels/cuda/attention.h"
#include "kernels/reference/attention.h"
#include "kernels/reference/attention_estimator.h"
#include "kernels/reference/sampler.h"
#include "tests/cuda_host/attention_dense_graphs.h"
#include "tests/cuda_host/attention_dense_spec.h"

// Random problems for the dense-masked path, with masks of the reference sampler, and their answers
// by the reference.
namespace sbm::kernels::cuda {

/// The reference's answers for one graph.
struct DenseAnswer {
  reference::AttentionResult forward;
  reference::AttentionGradient gradient;
  Matrix query_product;
  Matrix key_product;
};

template <class Element>
class DenseProblem {
 public:
  static constexpr bool kIsBfloat16 = sizeof(Element) == 2;

  explicit DenseProblem(const DenseSpec& problem)
      : spec(problem),
        drawn_(spec),
        query_(spec, spec.queries, "query"),
        key_(spec, spec.keys, "key"),
        value_(spec, spec.keys, "value"),
        grad_output_(spec, spec.queries, "grad_output") {
    std::mt19937_64 generator(spec.seed);
    for (auto* tensor : {&query_, &key_, &value_, &grad_output_}) {
      std::normal_distribution<float> normal;
      std::vector<Element> values(tensor->buffer.size(), from_float<Element>(kNan));
      for (std::int64_t g = 0; g < graphs(); ++g) {
        for (std::int64_t t = 0; t < tensor->tokens; ++t) {
          for (std::int64_t c = 0; c < spec.head_dim; ++c) {
            values[tensor->place(g, t) + static_cast<std::size_t>(c)] =
                from_float<Element>(normal(generator));
          }
        }
      }
      tensor->buffer.upload(values);
      host_.push_back(std::move(values));
    }
    for (std::int64_t g = 0; g < graphs(); ++g) {
      dropout_keys_.push_back(generator());
      answers_.push_back(solve(g));
    }
    for (std::int64_t h = 0; h < spec.heads; ++h) {
      density_gradient_.push_back(density_gradient(h));
    }
    device_dropout_keys_ = DeviceBuffer<PhiloxKey>(dropout_keys_, "dropout_keys");
    device_density_ = DeviceBuffer<float>(density_gradient_, "density_gradient");
    // Every other graph takes the other path, and the list is in no order.
    for (std::int64_t g = graphs() - 1; g >= 0; g -= 2) {
      listed_.push_back(static_cast<std::uint32_t>(g));
    }
    listed_graphs_ = DeviceBuffer<std::uint32_t>(listed_, "graphs");
    listed_count_ = DeviceBuffer<std::uint32_t>(
        std::vector<std::uint32_t>{static_cast<std::uint32_t>(listed_.size())}, "count");
  }

  [[nodiscard]] std::int64_t graphs() const { return spec.batch * spec.heads; }

  [[nodiscard]] ForwardParams forward(const DenseOutputs<Element>& outputs) const {
    ForwardParams params;
    params.shape = shape();
    params.precision = kIsBfloat16 ? Precision::kBfloat16 : Precision::kFloat32;
    params.query = query_.const_view();
    params.key = key_.const_view();
    params.value = value_.const_view();
    params.dense = drawn_.listed({listed_graphs_.data(), listed_count_.data()});
    params.output = outputs.output.view();
    params.log_sum_exp = outputs.log_sum_exp.data();
    return params;
  }

  /// Forward and backward; the row products dO . O of the backward come from the reference.
  void run(const DenseOutputs<Element>& outputs) const {
    const Status forward_status =
        attention_forward_dense(forward(outputs), cuda_host::test_stream());
    ASSERT_TRUE(forward_status.ok()) << forward_status.message();
    std::vector<float> delta(static_cast<std::size_t>(graphs() * spec.queries));
    for (std::int64_t g = 0; g < graphs(); ++g) {
      const Matrix grad_output = grad_output_.matrix(host_[3], g);
      for (std::int64_t i = 0; i < spec.queries; ++i) {
        double sum = 0;
        for (std::int64_t c = 0; c < spec.head_dim; ++c) {
          sum += grad_output(i, c) * answer(g).forward.output(i, c);
        }
        delta[static_cast<std::size_t>(g * spec.queries + i)] = static_cast<float>(sum);
      }
    }
    const DeviceBuffer<float> device_delta(delta, "delta");
    BackwardParams params;
    params.shape = shape();
    params.precision = kIsBfloat16 ? Precision::kBfloat16 : Precision::kFloat32;
    params.estimator = {.estimator = spec.estimator,
                        .clip = spec.clip,
                        .density_gradient = device_density_.data(),
                        .probe_rate = spec.probe_rate};
    params.query = query_.const_view();
    params.key = key_.const_view();
    params.value = value_.const_view();
    params.dense = drawn_.listed({listed_graphs_.data(), listed_count_.data()});
    params.output = outputs.output.const_view();
    params.log_sum_exp = outputs.log_sum_exp.data();
    params.grad_output = grad_output_.const_view();
    params.query_membership = drawn_.query_membership();
    params.key_membership = drawn_.key_membership();
    params.grad_query = outputs.grad_query.view();
    params.grad_key = outputs.grad_key.view();
    params.grad_value = outputs.grad_value.view();
    params.query_product = outputs.query_product.data();
    params.key_product = outputs.key_product.data();
    params.delta = device_delta.data();
    const DeviceBuffer<unsigned char> workspace(
        attention_dense_workspace_bytes(params.shape, params.precision), "workspace");
    params.dense_workspace = workspace.data();
    const Status status = attention_backward_dense(params, cuda_host::test_stream());
    ASSERT_TRUE(status.ok()) << status.message();
  }

  /// Fails the test where an output is further from the reference than `tolerance` times its norm,
  /// or one of its rows than four times as much.
  void expect_matches_reference(const DenseOutputs<Element>& outputs, double tolerance) const {
    const auto list = outputs.log_sum_exp.download();
    const auto query_product = outputs.query_product.download();
    const auto key_product = outputs.key_product.download();
    for (std::int64_t g = 0; g < graphs(); ++g) {
      const bool listed = std::find(listed_.begin(), listed_.end(), g) != listed_.end();
      const DenseAnswer& expected = answer(g);
      const auto compare = [&](const Matrix& found, const Matrix& wanted, const char* name) {
        if (listed) {
          // Differences of numbers near sqrt(d), times keys as large.
          expect_close(found, wanted, tolerance, 0.01 * static_cast<double>(spec.head_dim), name);
        } else {
          for (const double value : found.values()) {
            ASSERT_TRUE(std::isnan(value)) << name << " of a graph of the other path";
          }
        }
      };
      compare(outputs.output.matrix(outputs.output.buffer.download(), g), expected.forward.output,
              "output");
      compare(outputs.grad_query.matrix(outputs.grad_query.buffer.download(), g),
              expected.gradient.query, "grad_query");
      compare(outputs.grad_key.matrix(outputs.grad_key.buffer.download(), g), expected.gradient.key,
              "grad_key");
      compare(outputs.grad_value.matrix(outputs.grad_value.buffer.download(), g),
              expected.gradient.value, "grad_value");
      compare(product_matrix(query_product, spec.queries, g), expected.query_product,
              "query_product");
      compare(product_matrix(key_product, spec.keys, g), expected.key_product, "key_product");
      for (std::int64_t i = 0; listed && i < spec.queries; ++i) {
        const double wanted = expected.forward.log_sum_exp[static_cast<std::size_t>(i)];
        const float found = list[static_cast<std::size_t>(g * spec.queries + i)];
        if (std::isinf(wanted)) {
          EXPECT_EQ(static_cast<double>(found), wanted) << "log-sum-exp of row " << i;
        } else {
          EXPECT_NEAR(static_cast<double>(found), wanted, 2e-6 * std::max(1.0, std::abs(wanted)));
        }
      }
    }
  }

  /// Rows of the listed graphs with `degree` edges.
  [[nodiscard]] std::int64_t rows_with(std::int64_t degree) const {
    std::int64_t count = 0;
    for (const std::uint32_t g : listed_) {
      const auto& degrees = answer(g).forward.degree;
      count += std::count(degrees.begin(), degrees.end(), degree);
    }
    return count;
  }
  /// Drawn edges whose gate is neither 0 nor 1, and those where it is 0.
  std::int64_t partly_open = 0;
  std::int64_t saturated = 0;

  DenseSpec spec;

 private:
  static constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

  [[nodiscard]] const DenseAnswer& answer(std::int64_t g) const {
    return answers_[static_cast<std::size_t>(g)];
  }
  [[nodiscard]] static float density_gradient(std::int64_t head) {
    return 0.01F * static_cast<float>(1 + head);
  }

  [[nodiscard]] AttentionShape shape() const {
    return {.batch = spec.batch,
            .heads = spec.heads,
            .queries = spec.queries,
            .keys = spec.keys,
            .head_dim = spec.head_dim,
            .clusters = spec.clusters,
            .scale = 1.0F / std::sqrt(static_cast<float>(spec.head_dim)),
            .path = AttentionPath::kDense,
            .dropout = spec.dropout,
            .dropout_keys = device_dropout_keys_.data()};
  }

  /// Memberships of a graph as the kernels multiply them.
  [[nodiscard]] Matrix memberships(const std::vector<float>& values, std::int64_t tokens,
                                   std::int64_t g) const {
    std::vector<float> rounded = values;
    for (float& value : rounded) value = to_float(from_float<Element>(value));
    return product_matrix(rounded, tokens, g);
  }

  [[nodiscard]] Matrix product_matrix(const std::vector<float>& values, std::int64_t tokens,
                                      std::int64_t g) const {
    Matrix result(tokens, spec.clusters);
    for (std::int64_t i = 0; i < tokens * spec.clusters; ++i) {
      result.values()[static_cast<std::size_t>(i)] =
          static_cast<double>(values[static_cast<std::size_t>(g * tokens * spec.clusters + i)]);
    }
    return result;
  }

  DenseAnswer solve(std::int64_t g) {
    const reference::SampledGraph& sampler = drawn_.sampler(g);
    const EdgeList& edges = drawn_.edges(g);
    reference::AttentionInput input{.query = query_.matrix(host_[0], g),
                                    .key = key_.matrix(host_[1], g),
                                    .value = value_.matrix(host_[2], g),
                                    .mask = Matrix(spec.queries, spec.keys),
                                    .scale = static_cast<double>(shape().scale),
                                    .dropout_factor = {}};
    reference::EstimatorInput form;
    form.estimator = spec.estimator;
    form.clip = static_cast<double>(spec.clip);
    form.density_gradient = static_cast<double>(density_gradient(g % spec.heads));
    form.probe_rate = spec.probe_rate;
    form.probes = Matrix(spec.queries, spec.keys);
    form.law.gate = Matrix(spec.queries, spec.keys);
    form.law.probability = Matrix(spec.queries, spec.keys);
    for (std::int64_t i = 0; i < spec.queries; ++i) {
      const auto row = static_cast<std::size_t>(i);
      for (std::int64_t e = edges.row_offsets[row]; e < edges.row_offsets[row + 1]; ++e) {
        input.mask(i, edges.columns[static_cast<std::size_t>(e)]) = 1;
      }
      for (const std::int32_t j : sampler.probes(i)) {
        if (input.mask(i, j) == 0) form.probes(i, j) = 1;
      }
      for (std::int64_t j = 0; j < spec.keys; ++j) {
        form.law.probability(i, j) = static_cast<double>(sampler.threshold(i, j)) * 0x1p-32;
        const bool decided = i == j && spec.self_loops != SelfLoops::kNone;
        const float gate = decided || !sampler.is_valid(i, j) ? 0.0F : sampler.gate(i, j);
        form.law.gate(i, j) = static_cast<double>(gate);
        if (input.mask(i, j) == 0 || decided) continue;
        if (gate > 0.0F && gate < 1.0F) ++partly_open;
        if (gate == 0.0F) ++saturated;
      }
    }
    if (spec.dropout > 0) {
      input.dropout_factor = reference::dropout_factors(spec.queries, spec.keys, spec.dropout,
                                                        dropout_keys_[static_cast<std::size_t>(g)]);
    }
    const Matrix grad_output = grad_output_.matrix(host_[3], g);
    DenseAnswer answer;
    answer.forward = reference::attention_forward(input);
    answer.gradient = reference::attention_backward(input, answer.forward, grad_output);
    const Matrix cells = reference::estimator_gradient(input, answer.forward, grad_output, form);
    answer.query_product = product(cells, memberships(drawn_.key_values(), spec.keys, g));
    answer.key_product =
        product(transposed(cells), memberships(drawn_.query_values(), spec.queries, g));
    return answer;
  }

  DrawnDenseGraphs drawn_;
  DeviceTensor<Element> query_, key_, value_, grad_output_;
  std::vector<std::vector<Element>> host_;
  std::vector<DenseAnswer> answers_;
  std::vector<PhiloxKey> dropout_keys_;
  std::vector<float> density_gradient_;
  std::vector<std::uint32_t> listed_;
  DeviceBuffer<PhiloxKey> device_dropout_keys_{0};
  DeviceBuffer<float> device_density_{0};
  DeviceBuffer<std::uint32_t> listed_graphs_{0}, listed_count_{0};
};

}  // namespace sbm::kernels::cuda
