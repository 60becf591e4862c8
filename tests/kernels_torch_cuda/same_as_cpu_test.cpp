#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "cuda_host/stream.h"
#include "kernels/torch/attention_cuda.h"
#include "kernels/torch/registered_kernels.h"
#include "tests/kernels_torch/attention_problem.h"

// The operators for CUDA tensors beside those for CPU tensors, both called past the dispatcher.
namespace sbm::kernels::torch {
namespace {

using testing::HasSubstr;

template <class Operator>
AttentionOutputs forward(const Operator& attention, const AttentionProblem& problem) {
  const SbmAttentionOptions& options = problem.options;
  return attention(problem.query, problem.key, problem.value, problem.query_membership,
                   problem.key_membership, problem.block_matrix, problem.query_valid,
                   problem.key_valid, problem.mask_keys, problem.probe_keys, problem.dropout_keys,
                   problem.density_gradient, static_cast<std::int64_t>(options.law),
                   static_cast<std::int64_t>(options.self_loops), options.exploration,
                   static_cast<std::int64_t>(options.estimator), options.clip, options.probe_rate,
                   options.dropout, static_cast<std::int64_t>(options.path), options.dense_from,
                   options.bf16_memberships);
}

template <class Operator>
AttentionGradients backward(const Operator& attention, const AttentionProblem& problem,
                            const AttentionOutputs& outputs, const at::Tensor& grad_output) {
  const auto& [output, edge_counts, log_sum_exp, graphs] = outputs;
  const SbmAttentionOptions& options = problem.options;
  return attention(grad_output, problem.query, problem.key, problem.value, problem.query_membership,
                   problem.key_membership, problem.block_matrix, output, log_sum_exp, graphs,
                   problem.dropout_keys, problem.density_gradient,
                   static_cast<std::int64_t>(options.estimator), options.clip, options.probe_rate,
                   options.dropout, static_cast<std::int64_t>(options.path), options.dense_from,
                   options.bf16_memberships);
}

const auto on_device = [](const auto&... arguments) {
  return attention_on_stream(cuda_host::test_stream(), arguments...);
};
const auto backward_on_device = [](const auto&... arguments) {
  return attention_backward_on_stream(cuda_host::test_stream(), arguments...);
};

std::vector<at::Tensor> list_of(const AttentionGradients& gradients) {
  return std::apply([](const auto&... each) { return std::vector<at::Tensor>{each...}; },
                    gradients);
}

// As a share of the largest element expected, or of `least_size`: a row with one edge has gradients
// of exactly 0, as differences of numbers near 1 that were rounded before.
double relative_error(const at::Tensor& found, const at::Tensor& expected, double least_size) {
  if (expected.numel() == 0) return 0.0;
  const double size = std::max(expected.abs().max().item<double>(), least_size);
  return (found.to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>() / size;
}

void expect_equal_graphs(const SampledGraphs& found, const SampledGraphs& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::int64_t graph = 0; graph < found.size(); ++graph) {
    EXPECT_TRUE(at::equal(found.row_offsets(graph), expected.row_offsets(graph))) << graph;
    EXPECT_TRUE(at::equal(found.columns(graph), expected.columns(graph))) << graph;
  }
}

// Any number of any option, over ragged shapes.
AttentionProblem any_problem(std::mt19937& generator, std::uint64_t seed) {
  const auto pick = [&](std::initializer_list<double> values) {
    return *(values.begin() + std::uniform_int_distribution<std::ptrdiff_t>(
                                  0, static_cast<std::ptrdiff_t>(values.size()) - 1)(generator));
  };
  const auto number = [&](std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(generator);
  };
  const ProblemSizes sizes = {.batch = number(1, 3),
                              .heads = number(1, 3),
                              .queries = number(1, 100),
                              .keys = number(1, 100),
                              .head_dim = static_cast<std::int64_t>(pick({5, 16, 32, 48, 64, 128})),
                              .clusters = number(1, 70)};
  AttentionProblem problem = random_problem(sizes, seed);
  problem.query_membership *= pick({0.01, 0.3, 1.0});
  const std::int64_t estimator = number(0, 2);
  problem.options = {.law = static_cast<MaskLaw>(number(0, 1)),
                     .self_loops = static_cast<SelfLoops>(number(0, 2)),
                     .exploration = pick({0.0, 0.01, 0.5}),
                     .estimator = static_cast<Estimator>(estimator),
                     .clip = pick({0.01, 1.0}),
                     .probe_rate = estimator == 2 ? pick({0.0, 0.1, 1.0}) : 0.0,
                     .dropout = pick({0.0, 0.2}),
                     .path = static_cast<AttentionPath>(number(0, 2)),
                     .dense_from = pick({0.0, 0.2})};
  if (problem.options.dropout > 0.0) {
    problem.dropout_keys = stream_keys(StreamPurpose::kAttentionDropout, sizes.batch, sizes.heads);
  }
  if (estimator == 2) {
    problem.probe_keys = stream_keys(StreamPurpose::kProbe, sizes.batch, sizes.heads);
  }
  if (estimator == 1) problem.density_gradient = at::randn({sizes.heads}) * 0.01;
  if (number(0, 1) == 1) {
    std::vector<std::int64_t> query_lengths;
    std::vector<std::int64_t> key_lengths;
    for (std::int64_t b = 0; b < sizes.batch; ++b) {
      query_lengths.push_back(number(0, sizes.queries));
      key_lengths.push_back(number(0, sizes.keys));
    }
    problem.query_valid = valid_prefix(query_lengths, sizes.queries);
    problem.key_valid = valid_prefix(key_lengths, sizes.keys).to(at::kByte);
  }
  return problem;
}

std::string describe(const AttentionProblem& problem) {
  const SbmAttentionOptions& options = problem.options;
  return c10::str("query ", problem.query.sizes(), ", key ", problem.key.sizes(), ", clusters ",
                  problem.block_matrix.size(-1), ", law ", static_cast<int>(options.law),
                  ", loops ", static_cast<int>(options.self_loops), ", exploration ",
                  options.exploration, ", estimator ", static_cast<int>(options.estimator),
                  ", probe rate ", options.probe_rate, ", dropout ", options.dropout, ", path ",
                  static_cast<int>(options.path), ", dense from ", options.dense_from, ", padding ",
                  problem.query_valid.has_value());
}

TEST(DeviceOperator, EqualsTheCpusOnAnyCall) {
  std::mt19937 generator(11);
  for (std::uint64_t round = 0; round < 24; ++round) {
    const AttentionProblem problem = any_problem(generator, 100 + round);
    SCOPED_TRACE(describe(problem));
    const AttentionOutputs expected = forward(attention_cpu, problem);
    const AttentionOutputs found = forward(on_device, problem);
    expect_equal_graphs(*std::get<3>(found), *std::get<3>(expected));
    EXPECT_TRUE(at::equal(std::get<1>(found), std::get<1>(expected)));
    EXPECT_LT(relative_error(std::get<0>(found), std::get<0>(expected), 0.1), 2e-5);
    EXPECT_TRUE(at::allclose(std::get<2>(found), std::get<2>(expected), 1e-5, 1e-5));
    const at::Tensor grad_output = at::randn(std::get<0>(found).sizes());
    const auto gradients = list_of(backward(backward_on_device, problem, found, grad_output));
    const auto wanted = list_of(backward(attention_backward_cpu, problem, expected, grad_output));
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_EQ(gradients[i].sizes(), wanted[i].sizes()) << i;
      EXPECT_EQ(gradients[i].strides(), wanted[i].strides()) << i;
      EXPECT_LT(relative_error(gradients[i], wanted[i], 0.1), 5e-5) << i;
    }
  }
}

// Rounding the inputs is all that the CPU, which computes in float, does not do; each weight and
// output is then rounded to 8 bits once.
TEST(DeviceOperator, Bfloat16StaysWithinItsRounding) {
  std::mt19937 generator(12);
  for (std::uint64_t round = 0; round < 8; ++round) {
    AttentionProblem wide = any_problem(generator, 300 + round);
    wide.options.estimator = Estimator::kPaper;
    wide.options.probe_rate = 0.0;
    SCOPED_TRACE(describe(wide));
    AttentionProblem narrow = wide;
    for (auto [from, to] : {std::pair{&wide.query, &narrow.query},
                            {&wide.key, &narrow.key},
                            {&wide.value, &narrow.value}}) {
      *to = from->to(at::kBFloat16);
      *from = to->to(at::kFloat);
    }
    const AttentionOutputs expected = forward(attention_cpu, wide);
    const AttentionOutputs found = forward(on_device, narrow);
    EXPECT_EQ(std::get<0>(found).scalar_type(), at::kBFloat16);
    EXPECT_EQ(std::get<2>(found).scalar_type(), at::kFloat);
    expect_equal_graphs(*std::get<3>(found), *std::get<3>(expected));
    EXPECT_LT(relative_error(std::get<0>(found), std::get<0>(expected), 1.0), 0.02);
    const at::Tensor grad_output = at::randn(std::get<0>(found).sizes()).to(at::kBFloat16);
    const auto gradients = list_of(backward(backward_on_device, narrow, found, grad_output));
    const auto wanted =
        list_of(backward(attention_backward_cpu, wide, expected, grad_output.to(at::kFloat)));
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_EQ(gradients[i].scalar_type(), i < 3 ? at::kBFloat16 : at::kFloat) << i;
      EXPECT_LT(relative_error(gradients[i], wanted[i], 1.0), 0.05) << i;
    }
  }
}

// Shapes, types and layouts without data are those with data.
TEST(DeviceOperator, MetaTensorsForetellEverything) {
  std::mt19937 generator(13);
  for (std::uint64_t round = 0; round < 8; ++round) {
    AttentionProblem real = any_problem(generator, 500 + round);
    if (round % 2 == 1) {
      for (at::Tensor* each : {&real.query, &real.key, &real.value}) {
        *each = each->to(at::kBFloat16).transpose(1, 2).contiguous().transpose(1, 2);
      }
    }
    SCOPED_TRACE(describe(real));
    AttentionProblem meta = real;
    for (at::Tensor* each : {&meta.query, &meta.key, &meta.value, &meta.query_membership,
                             &meta.key_membership, &meta.block_matrix, &meta.mask_keys}) {
      *each = each->to(at::kMeta);
    }
    for (std::optional<at::Tensor>* each : {&meta.query_valid, &meta.key_valid, &meta.probe_keys,
                                            &meta.dropout_keys, &meta.density_gradient}) {
      if (each->has_value()) *each = (*each)->to(at::kMeta);
    }
    const auto expect_alike = [](const at::Tensor& found, const at::Tensor& expected) {
      EXPECT_TRUE(found.is_meta());
      EXPECT_EQ(found.sizes(), expected.sizes());
      EXPECT_EQ(found.strides(), expected.strides());
      EXPECT_EQ(found.scalar_type(), expected.scalar_type());
    };
    const AttentionOutputs expected = forward(on_device, real);
    const AttentionOutputs found = forward(attention_meta, meta);
    expect_alike(std::get<0>(found), std::get<0>(expected));
    expect_alike(std::get<1>(found), std::get<1>(expected));
    expect_alike(std::get<2>(found), std::get<2>(expected));
    const at::Tensor grad_output = at::ones_like(std::get<0>(expected));
    const auto wanted = list_of(backward(backward_on_device, real, expected, grad_output));
    const auto gradients =
        list_of(backward(attention_backward_meta, meta, found, grad_output.to(at::kMeta)));
    for (std::size_t i = 0; i < wanted.size(); ++i) expect_alike(gradients[i], wanted[i]);
  }
}

template <typename Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "no error";
}

TEST(DeviceOperator, RefusesTensorsAndGraphsFromElsewhere) {
  AttentionProblem problem = random_problem({.head_dim = 32}, 1);
  const AttentionOutputs outputs = forward(on_device, problem);
  const at::Tensor grad_output = at::ones_like(std::get<0>(outputs));
  const AttentionOutputs of_cpu = forward(attention_cpu, problem);
  EXPECT_THAT(error_of([&] { backward(backward_on_device, problem, of_cpu, grad_output); }),
              HasSubstr("graphs: expected those that sbm::attention sampled on cpu, found none"));
  EXPECT_THAT(error_of([&] { backward(attention_backward_cpu, problem, outputs, grad_output); }),
              HasSubstr("graphs: expected those that sbm::attention sampled on the CPU"));
  AttentionProblem other = random_problem({.queries = 36, .head_dim = 32}, 1);
  EXPECT_THAT(error_of([&] {
                backward(backward_on_device, other,
                         {grad_output.narrow(1, 0, 36), std::get<1>(outputs),
                          std::get<2>(outputs).narrow(2, 0, 36), std::get<3>(outputs)},
                         grad_output.narrow(1, 0, 36));
              }),
              HasSubstr("graphs: expected 6 of 36 x 37 cells and 5 clusters, found 6 of 37 x 37"));
  other = problem;
  other.key_membership = other.key_membership.to(at::kMeta);
  EXPECT_THAT(error_of([&] { forward(on_device, other); }),
              HasSubstr("key_membership: expected a tensor on cpu, found one on meta"));
  other = problem;
  other.query = other.query.to(at::kHalf);
  EXPECT_THAT(error_of([&] { forward(on_device, other); }),
              HasSubstr("query: expected Float or BFloat16, found Half"));
  other = random_problem({.head_dim = 160}, 1);
  EXPECT_THAT(error_of([&] { forward(on_device, other); }),
              HasSubstr("query: expected a head_dim of 1 to 128 on a GPU, found 160"));
}

TEST(DeviceOperator, CountsNothingWhereMembershipsAreNone) {
  AttentionProblem problem = random_problem({}, 2);
  EXPECT_GE(std::get<1>(forward(on_device, problem)).min().item<std::int64_t>(), 0);
  problem.query_membership[1][2][3][4] = 1.5F;
  EXPECT_TRUE(std::get<1>(forward(on_device, problem)).eq(-1).all().item<bool>());
}

TEST(DeviceOperator, TakesEmptyTensors) {
  for (const ProblemSizes& sizes :
       {ProblemSizes{.batch = 0}, ProblemSizes{.queries = 0}, ProblemSizes{.keys = 0}}) {
    const AttentionProblem problem = random_problem(sizes, 3);
    const AttentionOutputs found = forward(on_device, problem);
    const AttentionOutputs expected = forward(attention_cpu, problem);
    EXPECT_TRUE(at::equal(std::get<0>(found), std::get<0>(expected)));
    EXPECT_TRUE(at::equal(std::get<1>(found), std::get<1>(expected)));
    const at::Tensor grad_output = at::ones_like(std::get<0>(found));
    const auto gradients = list_of(backward(backward_on_device, problem, found, grad_output));
    const auto wanted = list_of(backward(attention_backward_cpu, problem, expected, grad_output));
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_TRUE(at::equal(gradients[i], wanted[i])) << i;
    }
  }
}

TEST(Autocast, ComputesInBfloat16WhereAskedForAndInFloatElse) {
  EXPECT_EQ(autocast_precision(at::kBFloat16), at::kBFloat16);
  EXPECT_EQ(autocast_precision(at::kHalf), at::kFloat);
  EXPECT_EQ(autocast_precision(at::kFloat), at::kFloat);
}

}  // namespace
}  // namespace sbm::kernels::torch
