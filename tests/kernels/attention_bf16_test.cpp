#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "hwy/highway.h"
#include "tests/kernels/attention_problem.h"
#include "tests/kernels/bf16.h"
#include "tests/kernels/sampler_targets.h"
#include "tests/kernels/thread_executor.h"

namespace sbm::kernels {
namespace {

using testing::ThreadExecutor;
using testing::to_bf16;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// As a user's machine would offer them: each instruction set with all narrower ones. Kernels that
/// do not know the widest take the next.
template <typename Body>
void on_every_machine(const Body& body) {
  std::int64_t narrower = 0;
  const std::vector<std::int64_t> targets = testing::supported_targets();
  for (auto target = targets.rbegin(); target != targets.rend(); ++target) {
    narrower |= *target;
    const testing::ForcedTarget forced(narrower);
    SCOPED_TRACE(hwy::TargetName(*target));
    body();
  }
}

/// T and R.
struct Products {
  GuardedFloats query;
  GuardedFloats key;

  [[nodiscard]] bool operator==(const Products& other) const {
    const auto equal = [](const GuardedFloats& left, const GuardedFloats& right) {
      return std::memcmp(left.data(), right.data(),
                         static_cast<std::size_t>(left.size()) * sizeof(float)) == 0;
    };
    return equal(query, other.query) && equal(key, other.key);
  }
};

/// One head, whose gradients can be asked for with any memberships.
class Bf16Problem {
 public:
  explicit Bf16Problem(const ProblemSpec& spec) : problem_(spec), outputs_(spec) {
    SerialExecutor executor;
    EXPECT_TRUE(attention_forward(problem_.forward(outputs_), executor).ok());
  }

  Products run(const GuardedFloats& query_membership, const GuardedFloats& key_membership,
               std::int64_t clusters, bool bf16, Executor& executor) {
    const ProblemSpec& spec = problem_.spec;
    Products products = {GuardedFloats(spec.queries * clusters, kNan),
                         GuardedFloats(spec.keys * clusters, kNan)};
    cpu::BackwardParams params = problem_.backward(outputs_);
    params.shape.clusters = clusters;
    params.query_membership = query_membership.data();
    params.key_membership = key_membership.data();
    params.query_product = products.query.data();
    params.key_product = products.key.data();
    params.bf16_memberships = bf16;
    const Status status = attention_backward(params, executor);
    EXPECT_TRUE(status.ok()) << status.message();
    return products;
  }

  /// G [queries, keys] as the kernel computes it: T of memberships that are 1 for one key only.
  std::vector<float> gradients(bool bf16) {
    const std::int64_t n = problem_.spec.queries;
    const std::int64_t m = problem_.spec.keys;
    std::vector<float> all(static_cast<std::size_t>(n * m));
    const GuardedFloats query_membership(n * kKeysAtOnce, 0.0F);
    SerialExecutor executor;
    for (std::int64_t first = 0; first < m; first += kKeysAtOnce) {
      GuardedFloats key_membership(m * kKeysAtOnce, 0.0F);
      const std::int64_t count = std::min(kKeysAtOnce, m - first);
      for (std::int64_t j = 0; j < count; ++j) {
        key_membership.data()[(first + j) * kKeysAtOnce + j] = 1.0F;
      }
      const Products products = run(query_membership, key_membership, kKeysAtOnce, bf16, executor);
      for (std::int64_t i = 0; i < n; ++i) {
        std::copy_n(products.query.data() + i * kKeysAtOnce, count, all.data() + i * m + first);
      }
    }
    return all;
  }

  /// T and R are the products of numbers that are both rounded, summed in float, and close to those
  /// of the numbers themselves.
  void expect_rounded_products(std::int64_t clusters) {
    const std::int64_t n = problem_.spec.queries;
    const std::int64_t m = problem_.spec.keys;
    std::mt19937 generator(static_cast<unsigned>(clusters));
    std::uniform_real_distribution<float> uniform(0.0F, 1.0F);
    GuardedFloats query_membership(n * clusters, 0.0F);
    GuardedFloats key_membership(m * clusters, 0.0F);
    for (float& value : query_membership) value = uniform(generator);
    for (float& value : key_membership) value = uniform(generator);

    const std::vector<float> exact = gradients(false);
    const std::vector<float> rounded = gradients(true);
    for (std::size_t cell = 0; cell < exact.size(); ++cell) {
      ASSERT_EQ(static_cast<double>(rounded[cell]), to_bf16(static_cast<double>(exact[cell])));
    }
    SerialExecutor serial;
    const Products found = run(query_membership, key_membership, clusters, true, serial);
    for (const bool in_bf16 : {true, false}) {
      // Of one cluster, sums that cancel may be further off.
      const double tolerance = in_bf16 ? 1e-6 : clusters == 1 ? 1e-2 : 4e-3;
      const auto number = [&](float value) {
        return in_bf16 ? to_bf16(static_cast<double>(value)) : static_cast<double>(value);
      };
      std::vector<double> query(static_cast<std::size_t>(n * clusters));
      std::vector<double> key(static_cast<std::size_t>(m * clusters));
      std::vector<double> query_numbers, key_numbers;
      for (const float value : query_membership) query_numbers.push_back(number(value));
      for (const float value : key_membership) key_numbers.push_back(number(value));
      for (std::int64_t i = 0; i < n; ++i) {
        for (std::int64_t j = 0; j < m; ++j) {
          const double gradient = number(exact[static_cast<std::size_t>(i * m + j)]);
          if (gradient == 0.0) continue;
          for (std::int64_t c = 0; c < clusters; ++c) {
            const auto at_query = static_cast<std::size_t>(i * clusters + c);
            const auto at_key = static_cast<std::size_t>(j * clusters + c);
            query[at_query] += gradient * key_numbers[at_key];
            key[at_key] += gradient * query_numbers[at_query];
          }
        }
      }
      expect_close(found.query, query, tolerance);
      expect_close(found.key, key, tolerance);
    }
    for (const int threads : {1, 2, 3}) {
      ThreadExecutor executor(threads);
      EXPECT_TRUE(run(query_membership, key_membership, clusters, true, executor) == found)
          << threads << " threads";
    }
  }

  /// The bits are those of a call without bfloat16.
  void expect_float_products(std::int64_t clusters) {
    GuardedFloats query_membership(problem_.spec.queries * clusters, 0.3F);
    GuardedFloats key_membership(problem_.spec.keys * clusters, 0.7F);
    SerialExecutor executor;
    EXPECT_TRUE(run(query_membership, key_membership, clusters, true, executor) ==
                run(query_membership, key_membership, clusters, false, executor));
  }

 private:
  static constexpr std::int64_t kKeysAtOnce = 256;

  static void expect_close(const GuardedFloats& found, const std::vector<double>& expected,
                           double tolerance) {
    double error = 0.0;
    double norm = 0.0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const double difference = static_cast<double>(found.data()[i]) - expected[i];
      error += difference * difference;
      norm += expected[i] * expected[i];
    }
    EXPECT_LE(std::sqrt(error), tolerance * std::sqrt(norm));
    EXPECT_GT(norm, 0.0);
  }

  Problem problem_;
  Outputs outputs_;
};

TEST(Bf16Memberships, EveryClusterCount) {
  for (const std::int64_t k : {1, 2, 7, 8, 15, 16, 31, 32, 33, 64, 100, 128, 200, 256}) {
    SCOPED_TRACE(k);
    on_every_machine([&] {
      Bf16Problem({.queries = 70, .keys = 61, .head_dim = 8, .density = 0.75, .padded_rows = 1})
          .expect_rounded_products(k);
    });
  }
}

TEST(Bf16Memberships, SeveralTilesOnBothSides) {
  on_every_machine([&] {
    Bf16Problem({.queries = 300, .keys = 700, .head_dim = 12, .density = 0.25, .gap = 3})
        .expect_rounded_products(40);
  });
}

TEST(Bf16Memberships, EstimatorsGatesAndDropout) {
  for (const Estimator estimator :
       {Estimator::kPaper, Estimator::kReference, Estimator::kTrapezoid}) {
    for (const bool gates : {false, true}) {
      on_every_machine([&] {
        Bf16Problem({.queries = 90,
                     .keys = 80,
                     .head_dim = 16,
                     .density = 0.6,
                     .dropout = gates ? 0.2 : 0.0,
                     .estimator = estimator,
                     .clip = 0.05F,
                     .gates = gates})
            .expect_rounded_products(16);
      });
    }
  }
}

TEST(Bf16Memberships, FewEdgesAndTilesOfCellsStayInFloat) {
  Bf16Problem({.queries = 90, .keys = 80, .head_dim = 16, .density = 0.2})
      .expect_float_products(20);
  Bf16Problem(
      {.queries = 90, .keys = 80, .head_dim = 16, .density = 0.9, .path = AttentionPath::kDense})
      .expect_float_products(20);
}

TEST(Bf16Memberships, NotANumberShowsItself) {
  on_every_machine([] {
    // A NaN whose bits would carry over to zero.
    float broken;
    const std::uint32_t bits = 0x7FFFFFFF;
    std::memcpy(&broken, &bits, sizeof(broken));
    constexpr std::int64_t kClusters = 5;
    GuardedFloats query_membership(50 * kClusters, 0.5F);
    GuardedFloats key_membership(50 * kClusters, 0.5F);
    key_membership.data()[7 * kClusters + 3] = broken;
    SerialExecutor executor;
    const Products products =
        Bf16Problem({.queries = 50, .keys = 50, .head_dim = 4, .density = 1.0})
            .run(query_membership, key_membership, kClusters, true, executor);
    EXPECT_TRUE(std::isnan(products.query.data()[3]));
    EXPECT_FALSE(std::isnan(products.query.data()[2]));
  });
}

}  // namespace
}  // namespace sbm::kernels
