#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "kernels/attention_dropout.h"
#include "tests/kernels_torch/attention_problem.h"

// Output and all six gradients of sbm::attention against a dense recomputation in double precision
// with LibTorch's own operators, on the mask that the call itself drew.
namespace sbm::kernels::torch {
namespace {

struct Case {
  std::string name;
  ProblemSizes sizes;
  MaskLaw law = MaskLaw::kBernoulli;
  SelfLoops self_loops = SelfLoops::kAdd;
  Estimator estimator = Estimator::kPaper;
  double exploration = 0.01;
  double clip = 1.0;
  double dropout = 0.0;
  bool padding = false;
  bool density_gradient = false;
  AttentionPath path = AttentionPath::kAuto;
  double dense_from = 0.0;
  /// A row with one edge has gradients of exactly 0, as differences of numbers near 1.
  double least_size = 1e-30;
  double membership_scale = 1.0;  ///< below 1: sparse graphs with rows that have no edge
};

void PrintTo(const Case& value, std::ostream* out) { *out << value.name; }

// A as 0 and 1 in double, [batch, heads, queries, keys].
at::Tensor dense_mask(const SampledGraphs& graphs, const ProblemSizes& sizes) {
  at::Tensor mask = at::zeros({sizes.batch * sizes.heads, sizes.queries, sizes.keys}, at::kDouble);
  auto cells = mask.accessor<double, 3>();
  for (std::int64_t graph = 0; graph < graphs.size(); ++graph) {
    const at::Tensor offsets = graphs.row_offsets(graph);
    const at::Tensor columns = graphs.columns(graph);
    const auto* offset = offsets.const_data_ptr<std::int64_t>();
    const auto* column = columns.const_data_ptr<std::int32_t>();
    for (std::int64_t row = 0; row < sizes.queries; ++row) {
      for (std::int64_t edge = offset[row]; edge < offset[row + 1]; ++edge) {
        cells[graph][row][column[edge]] += 1.0;
      }
    }
  }
  return mask.reshape({sizes.batch, sizes.heads, sizes.queries, sizes.keys});
}

at::Tensor dense_dropout_factors(const AttentionProblem& problem, const ProblemSizes& sizes) {
  at::Tensor factors = at::ones({sizes.batch, sizes.heads, sizes.queries, sizes.keys}, at::kDouble);
  if (problem.options.dropout == 0.0) return factors;
  const std::uint32_t threshold = attention_dropout_threshold(problem.options.dropout);
  auto cells = factors.accessor<double, 4>();
  const at::Tensor keys_on_cpu = problem.dropout_keys->to(at::kCPU);
  const auto keys = keys_on_cpu.accessor<std::int64_t, 2>();
  for (std::int64_t b = 0; b < sizes.batch; ++b) {
    for (std::int64_t h = 0; h < sizes.heads; ++h) {
      for (std::int64_t i = 0; i < sizes.queries; ++i) {
        for (std::int64_t j = 0; j < sizes.keys; ++j) {
          const bool keeps = attention_dropout_keeps(static_cast<PhiloxKey>(keys[b][h]),
                                                     static_cast<std::uint32_t>(i),
                                                     static_cast<std::uint32_t>(j), threshold);
          cells[b][h][i][j] = keeps ? attention_dropout_scale(threshold) : 0.0;
        }
      }
    }
  }
  return factors;
}

struct Expected {
  at::Tensor output;       ///< [batch, queries, heads, head_dim]
  at::Tensor log_sum_exp;  ///< [batch, heads, queries]
  std::vector<at::Tensor> gradients;
};

Expected dense_attention(const AttentionProblem& problem, const ProblemSizes& sizes,
                         const at::Tensor& mask, const at::Tensor& grad_output) {
  std::vector<at::Tensor> inputs;
  for (const at::Tensor& source : problem.sources()) {
    inputs.push_back(source.detach().to(at::kCPU, at::kDouble).requires_grad_(true));
  }
  const at::Tensor& query = inputs[0];
  const at::Tensor& key = inputs[1];
  const at::Tensor& value = inputs[2];
  const at::Tensor factors = dense_dropout_factors(problem, sizes);
  const at::Tensor scores =
      at::matmul(query, key.transpose(2, 3)) / std::sqrt(static_cast<double>(sizes.head_dim));
  const at::Tensor edges = mask > 0.5;
  const at::Tensor no_edge = at::logical_not(edges);
  const at::Tensor empty_row = no_edge.all(3, true);
  const at::Tensor masked = scores.masked_fill(at::logical_and(no_edge, at::logical_not(empty_row)),
                                               -std::numeric_limits<double>::infinity());
  const at::Tensor weights = at::softmax(masked, 3).masked_fill(no_edge, 0.0) * factors;
  const at::Tensor output = at::matmul(weights, value);

  Expected expected;
  expected.output = output.transpose(1, 2).detach();
  expected.log_sum_exp =
      at::logsumexp(masked, 3)
          .masked_fill(empty_row.squeeze(3), -std::numeric_limits<double>::infinity())
          .detach();

  // The estimator's G with the design's formulas, then one autograd pass through P = Qhat S Khat^T.
  const at::Tensor grad = grad_output.to(at::kCPU, at::kDouble).transpose(1, 2);
  const at::Tensor gain = at::matmul(grad, value.transpose(2, 3)) - (grad * output).sum(3, true);
  at::Tensor gradient = weights * gain;
  if (problem.options.estimator == Estimator::kPaper) {
    gradient = gradient * scores;
  } else {
    if (problem.density_gradient) {
      gradient =
          gradient + problem.density_gradient->to(at::kCPU, at::kDouble).reshape({1, -1, 1, 1});
    }
    gradient = gradient.clamp(-problem.options.clip, problem.options.clip);
  }
  gradient = gradient.masked_fill(no_edge, 0.0);
  const at::Tensor probability =
      at::matmul(at::matmul(inputs[3], inputs[5]), inputs[4].transpose(2, 3));
  const at::Tensor rate = (probability + problem.options.exploration).detach();
  at::Tensor gate =
      problem.options.law == MaskLaw::kBernoulli ? at::ones_like(rate) : at::exp(-rate);
  gate = gate.masked_fill(rate >= 1.0, 0.0);
  if (problem.options.self_loops != SelfLoops::kNone) {
    gate = gate * (1.0 - at::eye(sizes.queries, sizes.keys, at::kDouble));
  }
  const at::Tensor loss = (output * grad).sum() + (probability * (gradient * gate).detach()).sum();
  loss.backward();
  for (const at::Tensor& input : inputs) expected.gradients.push_back(input.grad());
  return expected;
}

// The largest difference, as a share of the largest element expected, or of `least_size`.
double relative_error(const at::Tensor& found, const at::Tensor& expected,
                      double least_size = 1e-30) {
  const double size = expected.abs().max().item<double>();
  return (found.to(at::kCPU, at::kDouble) - expected).abs().max().item<double>() /
         std::max(size, least_size);
}

class AttentionGradient : public testing::TestWithParam<Case> {};

TEST_P(AttentionGradient, EqualsTheDenseRecomputation) {
  const Case& parameters = GetParam();
  const ProblemSizes& sizes = parameters.sizes;
  AttentionProblem problem = random_problem(sizes, 31);
  problem.query_membership *= parameters.membership_scale;
  problem.options = {.law = parameters.law,
                     .self_loops = parameters.self_loops,
                     .exploration = parameters.exploration,
                     .estimator = parameters.estimator,
                     .clip = parameters.clip,
                     .dropout = parameters.dropout,
                     .path = parameters.path,
                     .dense_from = parameters.dense_from};
  if (parameters.dropout > 0.0) {
    problem.dropout_keys = stream_keys(StreamPurpose::kAttentionDropout, sizes.batch, sizes.heads);
  }
  if (parameters.density_gradient) problem.density_gradient = randn_on_device({sizes.heads}) * 0.01;
  if (parameters.padding) {
    std::vector<std::int64_t> query_lengths;
    std::vector<std::int64_t> key_lengths;
    for (std::int64_t b = 0; b < sizes.batch; ++b) {
      query_lengths.push_back(sizes.queries - 5 * b);
      key_lengths.push_back(sizes.keys - 3 - 7 * b);
    }
    problem.query_valid = valid_prefix(query_lengths, sizes.queries);
    problem.key_valid = valid_prefix(key_lengths, sizes.keys).to(at::kByte);
  }
  problem.require_gradients();
  const auto [output, device_counts, log_sum_exp, graphs] = problem.run_operator();
  const at::Tensor edge_counts = device_counts.to(at::kCPU);
  const at::Tensor grad_output = randn_on_device(output.sizes());
  output.backward(grad_output);

  const at::Tensor mask = dense_mask(*graphs, sizes);
  ASSERT_LE(mask.max().item<double>(), 1.0);
  const Expected expected = dense_attention(problem, sizes, mask, grad_output);
  EXPECT_LT(relative_error(output, expected.output), 1e-5);
  EXPECT_TRUE(
      at::allclose(log_sum_exp.to(at::kCPU, at::kDouble), expected.log_sum_exp, 1e-5, 1e-5));

  // POISSON's dq/dP comes from the integer P, which lies within 1e-3 (relative) of P.
  const double membership_tolerance = parameters.law == MaskLaw::kPoisson ? 1e-3 : 2e-5;
  const char* names[] = {"query",          "key",         "value", "query_membership",
                         "key_membership", "block_matrix"};
  for (std::size_t i = 0; i < 6; ++i) {
    const at::Tensor gradient = problem.sources()[i].grad();
    ASSERT_TRUE(gradient.defined()) << names[i];
    EXPECT_LT(relative_error(gradient, expected.gradients[i], parameters.least_size),
              i < 3 ? 2e-5 : membership_tolerance)
        << names[i];
  }

  // The counts: all edges, the forced ones, the valid cells.
  at::Tensor valid = at::ones({sizes.batch, 1, sizes.queries, sizes.keys}, at::kDouble);
  if (parameters.padding) {
    valid =
        problem.query_valid->to(at::kCPU, at::kDouble).reshape({sizes.batch, 1, sizes.queries, 1}) *
        problem.key_valid->to(at::kCPU, at::kDouble).reshape({sizes.batch, 1, 1, sizes.keys});
  }
  EXPECT_EQ((mask * (1.0 - valid)).sum().item<double>(), 0.0);
  const at::Tensor diagonal = valid * at::eye(sizes.queries, sizes.keys, at::kDouble);
  const at::Tensor forced = (parameters.self_loops == SelfLoops::kAdd ? diagonal.sum({2, 3})
                                                                      : at::zeros({sizes.batch, 1}))
                                .expand({sizes.batch, sizes.heads})
                                .to(at::kLong);
  const at::Tensor edges = mask.sum({2, 3}).to(at::kLong);
  EXPECT_TRUE(at::equal(edge_counts.select(2, 0), edges - forced));
  EXPECT_TRUE(at::equal(edge_counts.select(2, 1), forced));
  EXPECT_TRUE(at::equal(edge_counts.select(2, 2),
                        valid.sum({2, 3}).expand({sizes.batch, sizes.heads}).to(at::kLong)));
  if (parameters.self_loops == SelfLoops::kAdd) {
    EXPECT_TRUE(at::equal(mask * diagonal, diagonal.expand_as(mask)));
  }
  if (parameters.self_loops == SelfLoops::kRemove) {
    EXPECT_EQ((mask * diagonal).sum().item<double>(), 0.0);
  }
}

const ProblemSizes kSquare;
const ProblemSizes kCross = {
    .batch = 3, .heads = 2, .queries = 41, .keys = 67, .head_dim = 32, .clusters = 16};
const ProblemSizes kOneToken = {
    .batch = 2, .heads = 1, .queries = 1, .keys = 1, .head_dim = 4, .clusters = 1};
const ProblemSizes kLong = {
    .batch = 1, .heads = 2, .queries = 301, .keys = 301, .head_dim = 16, .clusters = 40};

INSTANTIATE_TEST_SUITE_P(
    Cases, AttentionGradient,
    testing::Values(
        Case{.name = "Paper", .sizes = kSquare}, Case{.name = "PaperCross", .sizes = kCross},
        Case{.name = "PaperLong", .sizes = kLong},
        Case{.name = "PaperLongDense", .sizes = kLong, .path = AttentionPath::kDense},
        Case{.name = "PaperDropoutDense",
             .sizes = kCross,
             .dropout = 0.3,
             .padding = true,
             .path = AttentionPath::kDense},
        Case{.name = "PaperLongSparse", .sizes = kLong, .path = AttentionPath::kSparse},
        Case{.name = "PaperBothPaths", .sizes = kSquare, .padding = true, .dense_from = 0.24},
        Case{.name = "PaperDropoutSparse",
             .sizes = kCross,
             .dropout = 0.3,
             .padding = true,
             .path = AttentionPath::kSparse},
        Case{.name = "PaperPadding", .sizes = kSquare, .padding = true},
        Case{.name = "PaperDropout", .sizes = kCross, .dropout = 0.3, .padding = true},
        Case{.name = "PaperPoisson", .sizes = kSquare, .law = MaskLaw::kPoisson, .padding = true},
        Case{.name = "PaperDrawnDiagonal", .sizes = kSquare, .self_loops = SelfLoops::kNone},
        Case{.name = "PaperRemovedDiagonal", .sizes = kCross, .self_loops = SelfLoops::kRemove},
        Case{.name = "PaperEmptyRows",
             .sizes = kLong,
             .self_loops = SelfLoops::kNone,
             .exploration = 0.0,
             .padding = true,
             .membership_scale = 0.02},
        Case{.name = "PaperEmptyRowsDense",
             .sizes = kLong,
             .self_loops = SelfLoops::kNone,
             .exploration = 0.0,
             .padding = true,
             .path = AttentionPath::kDense,
             .membership_scale = 0.02},
        Case{.name = "PaperCertainEdges", .sizes = kSquare, .exploration = 0.8},
        Case{.name = "PaperOneToken",
             .sizes = kOneToken,
             .self_loops = SelfLoops::kNone,
             .exploration = 0.9,
             .least_size = 1e-2},
        Case{.name = "Reference",
             .sizes = kSquare,
             .estimator = Estimator::kReference,
             .clip = 0.02,
             .density_gradient = true},
        Case{.name = "ReferenceUnclipped",
             .sizes = kCross,
             .estimator = Estimator::kReference,
             .clip = std::numeric_limits<double>::infinity(),
             .dropout = 0.1,
             .padding = true},
        Case{.name = "ReferencePoissonSparse",
             .sizes = kSquare,
             .law = MaskLaw::kPoisson,
             .self_loops = SelfLoops::kNone,
             .estimator = Estimator::kReference,
             .clip = 0.01,
             .padding = true,
             .density_gradient = true,
             .path = AttentionPath::kSparse},
        Case{.name = "ReferencePoisson",
             .sizes = kLong,
             .law = MaskLaw::kPoisson,
             .self_loops = SelfLoops::kNone,
             .estimator = Estimator::kReference,
             .clip = 0.01,
             .padding = true,
             .density_gradient = true}),
    [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

}  // namespace
}  // namespace sbm::kernels::torch
