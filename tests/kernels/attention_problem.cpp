#include "tests/kernels/attention_problem.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <random>

#include "kernels/reference/attention.h"
#include "kernels/reference/attention_estimator.h"

namespace sbm::kernels {
namespace {

using reference::Matrix;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

template <typename Draw>
void fill(const TestTensor& tensor, Draw draw) {
  const HeadTensor<float> view = tensor.view();
  for (std::int64_t b = 0; b < tensor.batch; ++b) {
    for (std::int64_t h = 0; h < tensor.heads; ++h) {
      for (std::int64_t t = 0; t < tensor.tokens; ++t) {
        for (std::int64_t c = 0; c < tensor.width; ++c) view.row(b, h, t)[c] = draw();
      }
    }
  }
}

EdgeList random_graph(const ProblemSpec& spec, std::mt19937_64& generator) {
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  EdgeList graph;
  graph.diagonal_forced = spec.diagonal_forced;
  graph.row_offsets.push_back(0);
  for (std::int64_t i = 0; i < spec.queries; ++i) {
    // Some rows stay empty whatever the density.
    const bool empty = i >= spec.queries - spec.padded_rows || (spec.queries > 4 && i % 5 == 3);
    for (std::int64_t j = 0; !empty && j < spec.keys - spec.padded_rows; ++j) {
      const bool forced = spec.diagonal_forced && i == j;
      if (!forced && uniform(generator) >= spec.density) continue;
      graph.columns.push_back(static_cast<std::int32_t>(j));
      if (spec.gates) graph.gates.push_back(forced ? 0.0F : static_cast<float>(uniform(generator)));
    }
    graph.row_offsets.push_back(static_cast<std::int64_t>(graph.columns.size()));
  }
  return graph;
}

/// Gives the edges probabilities, and probes some of the other cells.
void add_probes(const ProblemSpec& spec, std::mt19937_64& generator, EdgeList& graph) {
  std::uniform_real_distribution<float> uniform(0.0F, 1.0F);
  // Of all sizes, also below the bounds of the estimator.
  const auto draw_probability = [&] { return std::pow(uniform(generator), 4.0F); };
  for (std::size_t e = 0; e < graph.columns.size(); ++e) {
    graph.probabilities.push_back(draw_probability());
  }
  ProbeList& probes = graph.probes;
  probes.row_offsets.push_back(0);
  for (std::int64_t i = 0; i < spec.queries; ++i) {
    const auto row = graph.columns.begin();
    const auto begin = row + graph.row_offsets[static_cast<std::size_t>(i)];
    const auto end = row + graph.row_offsets[static_cast<std::size_t>(i) + 1];
    for (std::int64_t j = 0; j < spec.keys - spec.padded_rows; ++j) {
      const auto key = static_cast<std::int32_t>(j);
      if (std::binary_search(begin, end, key) || (i == j && spec.diagonal_forced)) continue;
      if (static_cast<double>(uniform(generator)) >= spec.probe_rate) continue;
      probes.columns.push_back(key);
      probes.probabilities.push_back(draw_probability());
      if (spec.gates) probes.gates.push_back(uniform(generator));
    }
    probes.row_offsets.push_back(std::ssize(probes.columns));
  }
}

double norm(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum);
}

void expect_close(const Matrix& found, const Matrix& expected, double tolerance,
                  const std::string& name) {
  ASSERT_EQ(found.values().size(), expected.values().size()) << name;
  std::vector<double> difference(found.values().size());
  for (std::size_t i = 0; i < difference.size(); ++i) {
    difference[i] = found.values()[i] - expected.values()[i];
  }
  const double distance = norm(difference);
  // A row with one edge has gradients of exactly 0, as differences of numbers near 1.
  constexpr double kCancellation = 0.5;
  EXPECT_LE(distance, tolerance * (norm(expected.values()) + kCancellation)) << name;
}

}  // namespace

TestTensor::TestTensor(std::int64_t batch_size, std::int64_t head_count, std::int64_t token_count,
                       std::int64_t row_width, std::int64_t row_gap)
    : batch(batch_size),
      heads(head_count),
      tokens(token_count),
      width(row_width),
      gap(row_gap),
      values(std::max<std::int64_t>(0, batch * heads * tokens * (width + gap) - gap), kNan) {}

HeadTensor<float> TestTensor::view() const {
  return {.data = values.data(),
          .batch_stride = tokens * heads * (width + gap),
          .head_stride = width + gap,
          .token_stride = heads * (width + gap)};
}

HeadTensor<const float> TestTensor::const_view() const {
  const HeadTensor<float> tensor = view();
  return {tensor.data, tensor.batch_stride, tensor.head_stride, tensor.token_stride};
}

Matrix TestTensor::matrix(std::int64_t b, std::int64_t h) const {
  Matrix result(tokens, width);
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t c = 0; c < width; ++c) {
      result(t, c) = static_cast<double>(view().row(b, h, t)[c]);
    }
  }
  return result;
}

bool TestTensor::gaps_untouched() const {
  const std::int64_t rows = batch * heads * tokens;
  for (std::int64_t r = 0; r + 1 < rows; ++r) {
    for (std::int64_t c = width; c < width + gap; ++c) {
      if (!std::isnan(values.data()[r * (width + gap) + c])) return false;
    }
  }
  return true;
}

std::string ProblemSpec::name() const {
  return "batch " + std::to_string(batch) + " heads " + std::to_string(heads) + " n " +
         std::to_string(queries) + " m " + std::to_string(keys) + " d " + std::to_string(head_dim) +
         " k " + std::to_string(clusters) + " density " + std::to_string(density) + " dropout " +
         std::to_string(dropout) + " estimator " + std::to_string(static_cast<int>(estimator)) +
         " path " + std::to_string(static_cast<int>(path)) + " gates " + std::to_string(gates) +
         " gap " + std::to_string(gap);
}

// The k-wide arrays are dense by contract: [batch, heads, tokens, clusters] as heads of one batch.
Outputs::Outputs(const ProblemSpec& spec)
    : output(spec.batch, spec.heads, spec.queries, spec.head_dim, spec.gap),
      grad_query(spec.batch, spec.heads, spec.queries, spec.head_dim, spec.gap),
      grad_key(spec.batch, spec.heads, spec.keys, spec.head_dim, spec.gap),
      grad_value(spec.batch, spec.heads, spec.keys, spec.head_dim, spec.gap),
      query_product(spec.batch * spec.heads, 1, spec.queries, spec.clusters, 0),
      key_product(spec.batch * spec.heads, 1, spec.keys, spec.clusters, 0),
      log_sum_exp(spec.batch * spec.heads * spec.queries, kNan) {}

std::vector<float> Outputs::all() const {
  std::vector<float> list(log_sum_exp.begin(), log_sum_exp.end());
  for (const TestTensor* tensor :
       {&output, &grad_query, &grad_key, &grad_value, &query_product, &key_product}) {
    list.insert(list.end(), tensor->values.begin(), tensor->values.end());
  }
  return list;
}

Problem::Problem(const ProblemSpec& problem)
    : spec(problem),
      query_(spec.batch, spec.heads, spec.queries, spec.head_dim, spec.gap),
      key_(spec.batch, spec.heads, spec.keys, spec.head_dim, spec.gap),
      value_(spec.batch, spec.heads, spec.keys, spec.head_dim, spec.gap),
      grad_output_(spec.batch, spec.heads, spec.queries, spec.head_dim, spec.gap),
      query_membership_(spec.batch * spec.heads, 1, spec.queries, spec.clusters, 0),
      key_membership_(spec.batch * spec.heads, 1, spec.keys, spec.clusters, 0) {
  std::mt19937_64 generator(spec.seed);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> uniform(0.0F, 1.0F);
  for (const TestTensor* tensor : {&query_, &key_, &value_, &grad_output_}) {
    fill(*tensor, [&] { return normal(generator); });
  }
  for (const TestTensor* tensor : {&query_membership_, &key_membership_}) {
    fill(*tensor, [&] { return uniform(generator); });
  }
  const float scale = 1.0F / std::sqrt(static_cast<float>(spec.head_dim));
  if (spec.score_shift != 0.0) {
    for (std::int64_t b = 0; b < spec.batch; ++b) {
      for (std::int64_t h = 0; h < spec.heads; ++h) {
        for (std::int64_t t = 0; t < spec.queries; ++t) query_.view().row(b, h, t)[0] = 1.0F;
        for (std::int64_t t = 0; t < spec.keys; ++t) {
          key_.view().row(b, h, t)[0] = static_cast<float>(spec.score_shift) / scale;
        }
      }
    }
  }
  for (std::int64_t g = 0; g < spec.batch * spec.heads; ++g) {
    graphs.push_back(random_graph(spec, generator));
    if (spec.estimator == Estimator::kTrapezoid) add_probes(spec, generator, graphs.back());
    dropout_keys_.push_back(generator());
  }
  for (std::int64_t h = 0; h < spec.heads; ++h) density_gradient_.push_back(0.01F * (1 + h));
  shape = {.batch = spec.batch,
           .heads = spec.heads,
           .queries = spec.queries,
           .keys = spec.keys,
           .head_dim = spec.head_dim,
           .clusters = spec.clusters,
           .scale = scale,
           .path = spec.path,
           .dropout = spec.dropout,
           .dropout_keys = dropout_keys_.data()};
  estimator = {.estimator = spec.estimator,
               .clip = spec.clip,
               .density_gradient = density_gradient_.data(),
               .probe_rate = spec.probe_rate};
}

cpu::ForwardParams Problem::forward(Outputs& outputs) const {
  return {.shape = shape,
          .query = query_.const_view(),
          .key = key_.const_view(),
          .value = value_.const_view(),
          .graphs = graphs,
          .output = outputs.output.view(),
          .log_sum_exp = outputs.log_sum_exp.data()};
}

cpu::BackwardParams Problem::backward(Outputs& outputs) const {
  return {.shape = shape,
          .estimator = estimator,
          .query = query_.const_view(),
          .key = key_.const_view(),
          .value = value_.const_view(),
          .graphs = graphs,
          .output = outputs.output.const_view(),
          .log_sum_exp = outputs.log_sum_exp.data(),
          .grad_output = grad_output_.const_view(),
          .query_membership = query_membership_.values.data(),
          .key_membership = key_membership_.values.data(),
          .grad_query = outputs.grad_query.view(),
          .grad_key = outputs.grad_key.view(),
          .grad_value = outputs.grad_value.view(),
          .query_product = outputs.query_product.values.data(),
          .key_product = outputs.key_product.values.data()};
}

void Problem::run(Executor& executor, Outputs& outputs) const {
  const Status forward_status = attention_forward(forward(outputs), executor);
  ASSERT_TRUE(forward_status.ok()) << forward_status.message();
  const Status backward_status = attention_backward(backward(outputs), executor);
  ASSERT_TRUE(backward_status.ok()) << backward_status.message();
}

void Problem::expect_matches_reference(const Outputs& outputs, double tolerance) const {
  for (const TestTensor* tensor :
       {&outputs.output, &outputs.grad_query, &outputs.grad_key, &outputs.grad_value}) {
    EXPECT_TRUE(tensor->gaps_untouched());
  }
  for (std::int64_t g = 0; g < spec.batch * spec.heads; ++g) {
    const std::int64_t b = g / spec.heads;
    const std::int64_t h = g % spec.heads;
    const EdgeList& graph = graphs[static_cast<std::size_t>(g)];
    reference::AttentionInput input{.query = query_.matrix(b, h),
                                    .key = key_.matrix(b, h),
                                    .value = value_.matrix(b, h),
                                    .mask = Matrix(spec.queries, spec.keys),
                                    .scale = static_cast<double>(shape.scale),
                                    .dropout_factor = {}};
    reference::EstimatorInput form;
    form.estimator = spec.estimator;
    form.clip = static_cast<double>(spec.clip);
    form.density_gradient = static_cast<double>(density_gradient_[static_cast<std::size_t>(h)]);
    form.probe_rate = spec.probe_rate;
    form.law.gate = Matrix(spec.queries, spec.keys, 1.0);
    form.law.probability = Matrix(spec.queries, spec.keys, 0.5);
    for (std::int64_t i = 0; i < spec.queries; ++i) {
      for (std::int64_t e = graph.row_offsets[static_cast<std::size_t>(i)];
           e < graph.row_offsets[static_cast<std::size_t>(i) + 1]; ++e) {
        const auto edge = static_cast<std::size_t>(e);
        const std::int64_t j = graph.columns[edge];
        input.mask(i, j) = 1;
        if (spec.gates) {
          form.law.gate(i, j) = static_cast<double>(graph.gates[edge]);
        } else if (spec.diagonal_forced && i == j) {
          form.law.gate(i, j) = 0;
        }
      }
    }
    if (spec.estimator == Estimator::kTrapezoid) {
      form.probes = Matrix(spec.queries, spec.keys);
      for (std::int64_t i = 0; i < spec.queries; ++i) {
        const auto row = static_cast<std::size_t>(i);
        for (std::int64_t e = graph.row_offsets[row]; e < graph.row_offsets[row + 1]; ++e) {
          const auto edge = static_cast<std::size_t>(e);
          form.law.probability(i, graph.columns[edge]) =
              static_cast<double>(graph.probabilities[edge]);
        }
        const ProbeList& probes = graph.probes;
        for (std::int64_t p = probes.row_offsets[row]; p < probes.row_offsets[row + 1]; ++p) {
          const auto probe = static_cast<std::size_t>(p);
          const std::int64_t j = probes.columns[probe];
          form.probes(i, j) = 1;
          form.law.probability(i, j) = static_cast<double>(probes.probabilities[probe]);
          if (spec.gates) form.law.gate(i, j) = static_cast<double>(probes.gates[probe]);
        }
      }
    }
    if (spec.dropout > 0) {
      input.dropout_factor = reference::dropout_factors(spec.queries, spec.keys, spec.dropout,
                                                        dropout_keys_[static_cast<std::size_t>(g)]);
    }
    const Matrix grad_output = grad_output_.matrix(b, h);
    const reference::AttentionResult result = reference::attention_forward(input);
    const reference::AttentionGradient gradient =
        reference::attention_backward(input, result, grad_output);
    const Matrix cells = reference::estimator_gradient(input, result, grad_output, form);

    expect_close(outputs.output.matrix(b, h), result.output, tolerance, "output");
    expect_close(outputs.grad_query.matrix(b, h), gradient.query, tolerance, "grad_query");
    expect_close(outputs.grad_key.matrix(b, h), gradient.key, tolerance, "grad_key");
    expect_close(outputs.grad_value.matrix(b, h), gradient.value, tolerance, "grad_value");
    expect_close(outputs.query_product.matrix(g, 0), product(cells, key_membership_.matrix(g, 0)),
                 tolerance, "query_product");
    expect_close(outputs.key_product.matrix(g, 0),
                 product(transposed(cells), query_membership_.matrix(g, 0)), tolerance,
                 "key_product");
    for (std::int64_t i = 0; i < spec.queries; ++i) {
      const double expected = result.log_sum_exp[static_cast<std::size_t>(i)];
      const auto found = static_cast<double>(outputs.log_sum_exp.data()[g * spec.queries + i]);
      if (std::isinf(expected)) {
        EXPECT_EQ(found, expected) << "log_sum_exp of row " << i;
      } else {
        EXPECT_NEAR(found, expected, 1e-6 * std::max(1.0, std::abs(expected)));
      }
    }
  }
}

}  // namespace sbm::kernels
