#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

#include "kernels/attention_dropout.h"
#include "kernels/reference/attention.h"
#include "kernels/reference/attention_estimator.h"

namespace sbm::kernels::reference {
namespace {

using Generator = std::mt19937_64;

Matrix random_matrix(std::int64_t rows, std::int64_t columns, Generator& generator,
                     double deviation = 1.0) {
  std::normal_distribution<double> normal(0.0, deviation);
  Matrix matrix(rows, columns);
  for (double& value : matrix.values()) value = normal(generator);
  return matrix;
}

Matrix random_uniform(std::int64_t rows, std::int64_t columns, Generator& generator) {
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  Matrix matrix(rows, columns);
  for (double& value : matrix.values()) value = uniform(generator);
  return matrix;
}

Matrix random_mask(std::int64_t rows, std::int64_t columns, double density, Generator& generator) {
  Matrix mask = random_uniform(rows, columns, generator);
  for (double& value : mask.values()) value = value < density ? 1.0 : 0.0;
  return mask;
}

double inner(const Matrix& left, const Matrix& right) {
  double sum = 0;
  for (std::size_t i = 0; i < left.values().size(); ++i) {
    sum += left.values()[i] * right.values()[i];
  }
  return sum;
}

/// Central differences of `loss` with respect to every element of `matrix`.
Matrix finite_differences(Matrix& matrix, const std::function<double()>& loss) {
  constexpr double kStep = 1e-5;
  Matrix gradient(matrix.rows(), matrix.columns());
  for (std::size_t i = 0; i < matrix.values().size(); ++i) {
    const double value = matrix.values()[i];
    matrix.values()[i] = value + kStep;
    const double above = loss();
    matrix.values()[i] = value - kStep;
    const double below = loss();
    matrix.values()[i] = value;
    gradient.values()[i] = (above - below) / (2 * kStep);
  }
  return gradient;
}

void expect_close(const Matrix& found, const Matrix& expected, double tolerance) {
  ASSERT_EQ(found.rows(), expected.rows());
  ASSERT_EQ(found.columns(), expected.columns());
  for (std::int64_t i = 0; i < found.rows(); ++i) {
    for (std::int64_t j = 0; j < found.columns(); ++j) {
      ASSERT_NEAR(found(i, j), expected(i, j), tolerance) << "at " << i << ", " << j;
    }
  }
}

AttentionInput random_input(std::int64_t n, std::int64_t m, std::int64_t d, double density,
                            Generator& generator) {
  return {.query = random_matrix(n, d, generator),
          .key = random_matrix(m, d, generator),
          .value = random_matrix(m, d, generator),
          .mask = random_mask(n, m, density, generator),
          .scale = 1 / std::sqrt(static_cast<double>(d)),
          .dropout_factor = {}};
}

EstimatorInput open_cells(std::int64_t n, std::int64_t m, double probability) {
  EstimatorInput estimator;
  estimator.law = {.probability = Matrix(n, m, probability), .gate = Matrix(n, m, 1.0)};
  return estimator;
}

TEST(ReferenceAttention, RowsAreSoftmaxAveragesOfTheirKeys) {
  AttentionInput input{.query = Matrix(3, 1, 1.0),
                       .key = Matrix(3, 1),
                       .value = Matrix(3, 1),
                       .mask = Matrix(3, 3),
                       .scale = 2.0,
                       .dropout_factor = {}};
  for (int j = 0; j < 3; ++j) {
    input.key(j, 0) = j;
    input.value(j, 0) = 10 + j;
  }
  input.mask(0, 1) = input.mask(0, 2) = input.mask(1, 2) = 1;
  const AttentionResult result = attention_forward(input);
  const double e = std::exp(2.0);
  EXPECT_NEAR(result.output(0, 0), (11 + 12 * e) / (1 + e), 1e-14);
  EXPECT_NEAR(result.log_sum_exp[0], std::log(std::exp(2.0) + std::exp(4.0)), 1e-14);
  EXPECT_DOUBLE_EQ(result.output(1, 0), 12);
  EXPECT_DOUBLE_EQ(result.output(2, 0), 0);
  EXPECT_TRUE(std::isinf(result.log_sum_exp[2]) && result.log_sum_exp[2] < 0);
}

TEST(ReferenceAttention, GradientsMatchFiniteDifferences) {
  Generator generator(1);
  for (const double dropout : {0.0, 0.3}) {
    AttentionInput input = random_input(7, 9, 5, 0.4, generator);
    if (dropout > 0) input.dropout_factor = dropout_factors(7, 9, dropout, 17);
    const Matrix grad_output = random_matrix(7, 5, generator);
    const auto loss = [&] { return inner(attention_forward(input).output, grad_output); };
    const AttentionGradient gradient =
        attention_backward(input, attention_forward(input), grad_output);
    expect_close(gradient.query, finite_differences(input.query, loss), 1e-8);
    expect_close(gradient.key, finite_differences(input.key, loss), 1e-8);
    expect_close(gradient.value, finite_differences(input.value, loss), 1e-8);
  }
}

// `ds` is the derivative by a mask that multiplies the weights before they are
// normalised. REFERENCE without clip and c_h is this very form; PAPER is s times it.
TEST(ReferenceAttention, EdgeFormIsTheDerivativeByTheMask) {
  Generator generator(2);
  AttentionInput input = random_input(6, 8, 4, 0.5, generator);
  const Matrix grad_output = random_matrix(6, 4, generator);
  const AttentionResult forward = attention_forward(input);
  EstimatorInput estimator = open_cells(6, 8, 0.5);
  estimator.estimator = Estimator::kReference;
  const Matrix reference = estimator_gradient(input, forward, grad_output, estimator);
  estimator.estimator = Estimator::kPaper;
  const Matrix paper = estimator_gradient(input, forward, grad_output, estimator);

  Matrix soft_mask = input.mask;
  const auto loss = [&] {
    double sum = 0;
    for (std::int64_t i = 0; i < 6; ++i) {
      double normaliser = 0;
      double weighted = 0;
      for (std::int64_t j = 0; j < 8; ++j) {
        const double weight = soft_mask(i, j) * std::exp(forward.scores(i, j));
        normaliser += weight;
        for (std::int64_t c = 0; c < 4; ++c) {
          weighted += weight * input.value(j, c) * grad_output(i, c);
        }
      }
      if (normaliser > 0) sum += weighted / normaliser;
    }
    return sum;
  };
  Matrix expected = finite_differences(soft_mask, loss);
  for (std::int64_t i = 0; i < 6; ++i) {
    for (std::int64_t j = 0; j < 8; ++j) expected(i, j) *= input.mask(i, j);
  }
  expect_close(reference, expected, 1e-8);
  for (std::int64_t i = 0; i < 6; ++i) {
    for (std::int64_t j = 0; j < 8; ++j) expected(i, j) *= forward.scores(i, j);
  }
  expect_close(paper, expected, 1e-8);
}

TEST(ReferenceAttention, ReferenceFormAddsTheRegulariserAndClips) {
  Generator generator(3);
  const AttentionInput input = random_input(6, 8, 4, 0.5, generator);
  const Matrix grad_output = random_matrix(6, 4, generator);
  const AttentionResult forward = attention_forward(input);
  EstimatorInput estimator = open_cells(6, 8, 0.5);
  estimator.estimator = Estimator::kReference;
  const Matrix plain = estimator_gradient(input, forward, grad_output, estimator);
  estimator.clip = 0.05;
  estimator.density_gradient = 0.02;
  const Matrix clipped = estimator_gradient(input, forward, grad_output, estimator);
  for (std::int64_t i = 0; i < 6; ++i) {
    for (std::int64_t j = 0; j < 8; ++j) {
      const double expected =
          input.mask(i, j) == 0 ? 0.0 : std::min(0.05, std::max(-0.05, plain(i, j) + 0.02));
      EXPECT_DOUBLE_EQ(clipped(i, j), expected);
    }
  }
}

// A row of ten keys, all 2^10 masks: the truth is E[L | edge] - E[L | no edge] cell by cell. Over
// all masks the mean of TRAPEZOID stays close to it, on sparse rows too
// (correlation .990 to .998, scale .95 to .98 in the experiments that chose it).
TEST(ReferenceAttention, TrapezoidMatchesTheEnumeratedTruth) {
  constexpr std::int64_t kKeys = 10;
  for (const double edges_per_row : {0.6, 1.1, 2.2, 5.5}) {
    Generator generator(4);
    double truth_square = 0;
    double mean_square = 0;
    double both = 0;
    for (int problem = 0; problem < 40; ++problem) {
      AttentionInput input = random_input(1, kKeys, 8, 1.0, generator);
      const Matrix grad_output = random_matrix(1, 8, generator);
      std::uniform_real_distribution<double> spread(0.4, 1.6);
      EstimatorInput estimator = open_cells(1, kKeys, 0.0);
      estimator.estimator = Estimator::kTrapezoid;
      estimator.probes = Matrix(1, kKeys, 1.0);
      Matrix& q = estimator.law.probability;
      for (double& value : q.values()) value = spread(generator) * edges_per_row / kKeys;

      Matrix with_edge(1, kKeys);
      Matrix without_edge(1, kKeys);
      Matrix mean(1, kKeys);
      for (int bits = 0; bits < (1 << kKeys); ++bits) {
        double probability = 1;
        for (std::int64_t j = 0; j < kKeys; ++j) {
          input.mask(0, j) = (bits >> j) & 1;
          probability *= input.mask(0, j) != 0 ? q(0, j) : 1 - q(0, j);
        }
        const AttentionResult forward = attention_forward(input);
        const double loss = inner(forward.output, grad_output);
        const Matrix gradient = estimator_gradient(input, forward, grad_output, estimator);
        for (std::int64_t j = 0; j < kKeys; ++j) {
          mean(0, j) += probability * gradient(0, j);
          if (input.mask(0, j) != 0) {
            with_edge(0, j) += probability / q(0, j) * loss;
          } else {
            without_edge(0, j) += probability / (1 - q(0, j)) * loss;
          }
        }
      }
      for (std::int64_t j = 0; j < kKeys; ++j) {
        const double truth = with_edge(0, j) - without_edge(0, j);
        truth_square += truth * truth;
        mean_square += mean(0, j) * mean(0, j);
        both += truth * mean(0, j);
      }
    }
    EXPECT_GT(both / std::sqrt(truth_square * mean_square), 0.98) << edges_per_row;
    EXPECT_NEAR(both / truth_square, 1.0, 0.08) << edges_per_row;
  }
}

TEST(ReferenceAttention, TrapezoidFollowsTheTable) {
  AttentionInput input{.query = Matrix(3, 1, 1.0),
                       .key = Matrix(2, 1),
                       .value = Matrix(2, 1),
                       .mask = Matrix(3, 2),
                       .scale = 1.0,
                       .dropout_factor = {}};
  input.key(1, 0) = std::log(3.0);  // weights 1/4 and 3/4
  input.value(0, 0) = 2;
  input.value(1, 0) = 6;
  input.mask(0, 0) = input.mask(0, 1) = input.mask(1, 1) = 1;
  const Matrix grad_output(3, 1, 1.0);
  EstimatorInput estimator = open_cells(3, 2, 0.25);
  estimator.estimator = Estimator::kTrapezoid;
  estimator.probe_rate = 0.5;
  const AttentionResult forward = attention_forward(input);

  const Matrix unprobed = estimator_gradient(input, forward, grad_output, estimator);
  EXPECT_NEAR(unprobed(0, 0), 0.5 * 0.25 * (2 - 5) / (0.75 * 0.25), 1e-12);
  EXPECT_NEAR(unprobed(0, 1), 0.5 * 0.75 * (6 - 5) / (0.25 * 0.25), 1e-12);
  EXPECT_NEAR(unprobed(1, 1), 0.5 * 6 / 0.25, 1e-12);
  EXPECT_EQ(unprobed(1, 0), 0);
  EXPECT_EQ(unprobed(2, 0), 0);

  estimator.probes = Matrix(3, 2, 1.0);
  const Matrix probed = estimator_gradient(input, forward, grad_output, estimator);
  EXPECT_NEAR(probed(0, 0), unprobed(0, 0), 1e-12);
  EXPECT_NEAR(probed(1, 0), 0.5 * 0.25 * (2 - 6) / (0.5 * 0.75), 1e-12);
  EXPECT_NEAR(probed(2, 0), 0.5 * 2 / (0.5 * 0.75), 1e-12);

  estimator.law.probability = Matrix(3, 2, 0.0);
  const Matrix rare = estimator_gradient(input, forward, grad_output, estimator);
  EXPECT_NEAR(rare(1, 1), 0.5 * 6 / 1e-3, 1e-9);
  estimator.law.probability = Matrix(3, 2, 0.999);
  const Matrix sure = estimator_gradient(input, forward, grad_output, estimator);
  EXPECT_NEAR(sure(2, 1), 0.5 * 6 / (0.5 * 0.05), 1e-9);
}

TEST(ReferenceAttention, GatesFollowTheLaw) {
  Matrix probability(3, 3, 0.3);
  probability(0, 2) = 0.995;
  const std::vector<bool> query_valid = {true, true, false};
  const CellLaw bernoulli =
      cell_law(probability, 0.01, MaskLaw::kBernoulli, SelfLoops::kAdd, query_valid);
  EXPECT_DOUBLE_EQ(bernoulli.probability(0, 1), 0.31);
  EXPECT_DOUBLE_EQ(bernoulli.probability(0, 2), 1.0);
  EXPECT_EQ(bernoulli.gate(0, 1), 1.0);
  EXPECT_EQ(bernoulli.gate(0, 0), 0.0);
  EXPECT_EQ(bernoulli.gate(0, 2), 0.0);
  EXPECT_EQ(bernoulli.gate(2, 1), 0.0);
  const CellLaw poisson =
      cell_law(probability, 0.01, MaskLaw::kPoisson, SelfLoops::kNone, {}, {true, false, true});
  EXPECT_NEAR(poisson.probability(0, 0), 1 - std::exp(-0.31), 1e-15);
  EXPECT_NEAR(poisson.gate(0, 0), std::exp(-0.31), 1e-15);
  EXPECT_EQ(poisson.gate(0, 1), 0.0);
}

TEST(ReferenceAttention, GatesCloseEveryEstimator) {
  Generator generator(5);
  const AttentionInput input = random_input(5, 5, 3, 0.5, generator);
  const Matrix grad_output = random_matrix(5, 3, generator);
  const AttentionResult forward = attention_forward(input);
  for (const Estimator form : {Estimator::kPaper, Estimator::kReference, Estimator::kTrapezoid}) {
    EstimatorInput estimator = open_cells(5, 5, 0.5);
    estimator.estimator = form;
    estimator.density_gradient = 0.1;
    estimator.probes = Matrix(5, 5, 1.0);
    const Matrix open = estimator_gradient(input, forward, grad_output, estimator);
    estimator.law.gate = random_mask(5, 5, 0.5, generator);
    const Matrix gated = estimator_gradient(input, forward, grad_output, estimator);
    for (std::int64_t i = 0; i < 5; ++i) {
      for (std::int64_t j = 0; j < 5; ++j) {
        EXPECT_DOUBLE_EQ(gated(i, j), open(i, j) * estimator.law.gate(i, j));
      }
    }
  }
}

TEST(ReferenceAttention, MembershipGradientIsTheChainRule) {
  Generator generator(6);
  const Matrix gradient = random_matrix(6, 7, generator);
  Matrix query = random_uniform(6, 3, generator);
  Matrix block = random_uniform(3, 3, generator);
  Matrix key = random_uniform(7, 3, generator);
  const auto loss = [&] {
    return inner(product(product(query, block), transposed(key)), gradient);
  };
  const MembershipGradient result = membership_gradient(gradient, query, block, key);
  expect_close(result.query, finite_differences(query, loss), 1e-8);
  expect_close(result.block_matrix, finite_differences(block, loss), 1e-8);
  expect_close(result.key, finite_differences(key, loss), 1e-8);
}

TEST(ReferenceAttention, SizesThatContradictAreRefused) {
  Generator generator(7);
  AttentionInput input = random_input(4, 5, 3, 0.5, generator);
  input.mask = Matrix(4, 4);
  EXPECT_THROW(static_cast<void>(attention_forward(input)), InternalError);
}

// 20,000 draws: the rate's standard error is .0021; five of them fail once in two million runs.
TEST(AttentionDropout, DropsWithTheRoundedProbability) {
  const std::uint32_t threshold = attention_dropout_threshold(0.1);
  EXPECT_EQ(threshold, 6554U);
  EXPECT_DOUBLE_EQ(attention_dropout_scale(threshold), 65536.0 / (65536 - 6554));
  int dropped = 0;
  for (std::uint32_t i = 0; i < 100; ++i) {
    for (std::uint32_t j = 0; j < 200; ++j) {
      dropped += attention_dropout_keeps(0x1234567890ULL, i, j, threshold) ? 0 : 1;
    }
  }
  EXPECT_NEAR(dropped / 20000.0, 0.1, 0.0106);
}

TEST(AttentionDropout, UsesTheDocumentedBits) {
  const PhiloxBlock block = philox4x32<7>({5, 2, 0, 0}, 99);
  for (std::uint32_t j = 16; j < 24; ++j) {
    const std::uint32_t half = (block[(j / 2) & 3] >> (16 * (j & 1))) & 0xFFFF;
    EXPECT_TRUE(attention_dropout_keeps(99, 5, j, half));
    EXPECT_FALSE(attention_dropout_keeps(99, 5, j, half + 1));
  }
}

}  // namespace
}  // namespace sbm::kernels::reference
