#include "kernels/cpu/membership_gradients.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "hwy/highway.h"
#include "tests/kernels/attention_problem.h"
#include "tests/kernels/bf16.h"
#include "tests/kernels/sampler_targets.h"
#include "tests/kernels/thread_executor.h"

namespace sbm::kernels {
namespace {

using ::testing::HasSubstr;
using testing::ThreadExecutor;

struct Sizes {
  std::int64_t batch = 1;
  std::int64_t heads = 1;
  std::int64_t queries = 1;
  std::int64_t keys = 1;
  std::int64_t clusters = 1;
};

GuardedFloats random_floats(std::int64_t count, std::mt19937& generator) {
  std::normal_distribution<float> normal;
  GuardedFloats floats(count, 0.0F);
  for (float& value : floats) value = normal(generator);
  return floats;
}

/// The numbers, or what is left of them in bfloat16.
std::vector<double> doubles(const GuardedFloats& floats, bool bf16) {
  std::vector<double> numbers(floats.begin(), floats.end());
  for (double& number : numbers) {
    if (bf16) number = testing::to_bf16(number);
  }
  return numbers;
}

/// left [rows, inner] times right [inner, columns], by element functions.
template <typename Left, typename Right>
void add_product(std::int64_t rows, std::int64_t inner, std::int64_t columns, const Left& left,
                 const Right& right, double* product) {
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      for (std::int64_t i = 0; i < inner; ++i) product[r * columns + c] += left(r, i) * right(i, c);
    }
  }
}

/// A random problem and its answers in double precision.
class GradientProblem {
 public:
  explicit GradientProblem(const Sizes& sizes, bool bf16 = false)
      : sizes_(sizes),
        bf16_(bf16),
        generator_(static_cast<unsigned>(sizes.queries * 1000 + sizes.clusters)),
        membership_(random_floats(query_count(), generator_)),
        block_(random_floats(block_count(), generator_)),
        query_product_(random_floats(query_count(), generator_)),
        key_product_(random_floats(key_count(), generator_)),
        query_gradient_(static_cast<std::size_t>(query_count())),
        key_gradient_(static_cast<std::size_t>(key_count())),
        block_gradient_(static_cast<std::size_t>(block_count())) {
    const std::int64_t k = sizes.clusters;
    const std::vector<double> membership = doubles(membership_, bf16);
    const std::vector<double> block = doubles(block_, bf16);
    const std::vector<double> query_product = doubles(query_product_, bf16);
    const std::vector<double> key_product = doubles(key_product_, bf16);
    for (std::int64_t graph = 0; graph < sizes.batch * sizes.heads; ++graph) {
      const double* s = block.data() + graph % sizes.heads * k * k;
      const double* q = membership.data() + graph * sizes.queries * k;
      const double* t = query_product.data() + graph * sizes.queries * k;
      const double* r = key_product.data() + graph * sizes.keys * k;
      const auto element = [k](const double* matrix) {
        return
            [k, matrix](std::int64_t row, std::int64_t column) { return matrix[row * k + column]; };
      };
      const auto transposed = [k](const double* matrix) {
        return
            [k, matrix](std::int64_t row, std::int64_t column) { return matrix[column * k + row]; };
      };
      add_product(sizes.queries, k, k, element(t), transposed(s),
                  query_gradient_.data() + graph * sizes.queries * k);
      add_product(sizes.keys, k, k, element(r), element(s),
                  key_gradient_.data() + graph * sizes.keys * k);
      add_product(k, sizes.queries, k, transposed(q), element(t),
                  block_gradient_.data() + graph % sizes.heads * k * k);
    }
  }

  /// The kernel's answers: dQhat, dKhat and dS one behind the other.
  std::vector<float> run(Executor& executor) {
    GuardedFloats query = copy(query_product_);
    GuardedFloats key = copy(key_product_);
    GuardedFloats block(block_count(), std::nanf(""));
    const Status status = cpu::membership_gradients({.batch = sizes_.batch,
                                                     .heads = sizes_.heads,
                                                     .queries = sizes_.queries,
                                                     .keys = sizes_.keys,
                                                     .clusters = sizes_.clusters,
                                                     .query_membership = membership_.data(),
                                                     .block_matrix = block_.data(),
                                                     .query_product = query.data(),
                                                     .key_product = key.data(),
                                                     .block_gradient = block.data(),
                                                     .bf16 = bf16_},
                                                    executor);
    EXPECT_TRUE(status.ok()) << status.message();
    std::vector<float> all(query.begin(), query.end());
    all.insert(all.end(), key.begin(), key.end());
    all.insert(all.end(), block.begin(), block.end());
    return all;
  }

  /// Each output is within `tolerance` of the norm of its reference.
  void expect_matches(const std::vector<float>& found, double tolerance) const {
    const float* next = found.data();
    for (const std::vector<double>* expected :
         {&query_gradient_, &key_gradient_, &block_gradient_}) {
      double error = 0.0;
      double norm = 0.0;
      for (const double value : *expected) {
        const double difference = static_cast<double>(*next++) - value;
        error += difference * difference;
        norm += value * value;
      }
      EXPECT_LE(std::sqrt(error), tolerance * std::sqrt(norm));
    }
  }

 private:
  [[nodiscard]] std::int64_t query_count() const {
    return sizes_.batch * sizes_.heads * sizes_.queries * sizes_.clusters;
  }
  [[nodiscard]] std::int64_t key_count() const {
    return sizes_.batch * sizes_.heads * sizes_.keys * sizes_.clusters;
  }
  [[nodiscard]] std::int64_t block_count() const {
    return sizes_.heads * sizes_.clusters * sizes_.clusters;
  }
  static GuardedFloats copy(const GuardedFloats& from) {
    GuardedFloats to(from.size(), 0.0F);
    std::copy(from.begin(), from.end(), to.begin());
    return to;
  }

  Sizes sizes_;
  bool bf16_;
  std::mt19937 generator_;
  GuardedFloats membership_, block_, query_product_, key_product_;
  std::vector<double> query_gradient_, key_gradient_, block_gradient_;
};

TEST(MembershipGradients, EveryClusterCountOnEveryInstructionSet) {
  for (const std::int64_t k :
       {1, 2, 5, 8, 15, 16, 17, 31, 32, 48, 63, 64, 65, 100, 128, 200, 256}) {
    SCOPED_TRACE(k);
    const Sizes sizes = {
        .batch = 2, .heads = 2, .queries = k % 2 == 0 ? 139 : 7, .keys = 13, .clusters = k};
    GradientProblem problem(sizes);
    GradientProblem rounded(sizes, true);
    for (const std::int64_t target : testing::supported_targets()) {
      const testing::ForcedTarget forced(target);
      SCOPED_TRACE(hwy::TargetName(target));
      SerialExecutor executor;
      problem.expect_matches(problem.run(executor), 1e-6);
      const std::vector<float> found = rounded.run(executor);
      rounded.expect_matches(found, 1e-6);
      // One number that sums cancel to may be further off.
      problem.expect_matches(found, k == 1 ? 3e-2 : 5e-3);
    }
  }
}

TEST(MembershipGradients, TheSameBitsFromAnyNumberOfThreads) {
  for (const bool bf16 : {false, true}) {
    GradientProblem problem({.batch = 2, .heads = 3, .queries = 500, .keys = 401, .clusters = 100},
                            bf16);
    SerialExecutor serial;
    const std::vector<float> expected = problem.run(serial);
    for (const int threads : {2, 3}) {
      ThreadExecutor executor(threads);
      const std::vector<float> found = problem.run(executor);
      EXPECT_EQ(std::memcmp(found.data(), expected.data(), expected.size() * sizeof(float)), 0);
    }
  }
}

TEST(MembershipGradients, NothingToAddGivesZeros) {
  ThreadExecutor executor(3);
  for (const Sizes& sizes : {Sizes{.batch = 0, .heads = 2, .clusters = 100},
                             Sizes{.heads = 2, .queries = 0, .keys = 4, .clusters = 3},
                             Sizes{.heads = 2, .queries = 0, .keys = 4, .clusters = 100}}) {
    GradientProblem problem(sizes);
    problem.expect_matches(problem.run(executor), 1e-6);
  }
}

TEST(MembershipGradients, RefusesWhatIsMissing) {
  SerialExecutor executor;
  const auto message = [&](const cpu::MembershipGradientParams& params) {
    return cpu::membership_gradients(params, executor).message();
  };
  EXPECT_THAT(message({.clusters = 257}), HasSubstr("expected 1 to 256, found 257"));
  EXPECT_THAT(message({.batch = -1, .clusters = 1}), HasSubstr("found -1"));
  EXPECT_THAT(message({.heads = 1, .clusters = 1}), HasSubstr("found null"));
}

}  // namespace
}  // namespace sbm::kernels
