// Every form of the first branch against the reference, bit for bit, at every density, on every
// instruction set of this machine; and that nothing beyond the caller's arrays is read.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

#include "kernels/cpu/sampler.h"
#include "kernels/reference/sampler.h"
#include "tests/kernels/guarded_array.h"
#include "tests/kernels/sampler_problem.h"
#include "tests/kernels/sampler_targets.h"

namespace sbm::kernels {
namespace {

using cpu::CellForm;
using testing::ForcedTarget;
using testing::GuardedArray;
using testing::mixed_problem;
using testing::Problem;
using testing::supported_targets;
using testing::Uniform;

constexpr CellForm kForms[] = {CellForm::kFastest, CellForm::kEveryCell, CellForm::kCoarse,
                               CellForm::kScreened};

/// Draws the problem in every form on every instruction set.
void expect_all_equal(const SamplingParams& params, const std::vector<EdgeList>& expected) {
  for (const std::int64_t target : supported_targets()) {
    const ForcedTarget forced(target);
    for (const CellForm form : kForms) {
      SCOPED_TRACE(std::string(hwy::TargetName(target)) + ", form " +
                   std::to_string(static_cast<int>(form)));
      SerialExecutor serial;
      std::vector<EdgeList> found(expected.size());
      ASSERT_EQ(cpu::sample_edges(params, serial, found, form).message(), "");
      for (std::size_t i = 0; i < expected.size(); ++i) {
        ASSERT_EQ(expected[i].row_offsets, found[i].row_offsets);
        ASSERT_EQ(expected[i].columns, found[i].columns);
        ASSERT_EQ(expected[i].gates, found[i].gates);
        ASSERT_EQ(expected[i].drawn_edges, found[i].drawn_edges);
        ASSERT_EQ(expected[i].forced_edges, found[i].forced_edges);
      }
    }
  }
}

void expect_reference_bits(Problem& problem) {
  const SamplingParams& params = problem.point();
  std::vector<EdgeList> expected(static_cast<std::size_t>(problem.graphs()));
  ASSERT_EQ(reference::sample_edges(params, expected).message(), "");
  expect_all_equal(params, expected);
}

void scale_rows(std::vector<float>& memberships, std::int64_t clusters, int halvings,
                Uniform& uniform) {
  for (std::size_t i = 0; i < memberships.size(); i += static_cast<std::size_t>(clusters)) {
    const float scale = std::ldexp(1.0F, -static_cast<int>(uniform.below(halvings)));
    for (std::int64_t c = 0; c < clusters; ++c)
      memberships[i + static_cast<std::size_t>(c)] *= scale;
  }
}

std::vector<std::uint8_t> random_padding(std::int64_t tokens, float valid, Uniform& uniform) {
  std::vector<std::uint8_t> bytes;
  for (std::int64_t i = 0; i < tokens; ++i) bytes.push_back(uniform() < valid ? 1 : 0);
  return bytes;
}

TEST(SamplerForms, RaggedShapesAtEveryDensity) {
  constexpr double kDensities[] = {0.001, 0.01, 0.02, 0.05, 0.1, 0.25, 0.4, 0.7, 0.95};
  constexpr double kExplorations[] = {0.0, 0.01, 0.0, 1e-4, 0.0, 0.3, 1.0};
  Uniform uniform(81);
  for (int trial = 0; trial < 63; ++trial) {
    SCOPED_TRACE("trial " + std::to_string(trial));
    const std::int64_t clusters = 1 + uniform.below(trial % 7 == 0 ? 256 : 70);
    const std::int64_t queries = trial % 10 == 3 ? 1 : 1 + uniform.below(75);
    const std::int64_t keys = trial % 11 == 4 ? 1 : 1 + uniform.below(280);
    const double density = kDensities[trial % static_cast<int>(std::size(kDensities))];
    Problem problem =
        mixed_problem(static_cast<std::uint64_t>(trial), 1, 1 + trial % 2, queries, keys, clusters,
                      static_cast<float>(4.0 * density), 1.0F + 8.0F * uniform());
    problem.params.law = trial % 3 == 1 ? MaskLaw::kPoisson : MaskLaw::kBernoulli;
    problem.params.self_loops = static_cast<SelfLoops>(trial / 3 % 3);
    problem.params.exploration = kExplorations[trial % static_cast<int>(std::size(kExplorations))];
    if (trial % 4 == 1) scale_rows(problem.key, clusters, 11, uniform);
    if (trial % 8 == 5) scale_rows(problem.query, clusters, 11, uniform);
    if (trial % 5 == 2) {
      problem.query_valid = random_padding(queries, 0.8F, uniform);
      problem.key_valid = random_padding(keys, trial % 2 == 0 ? 0.7F : 0.05F, uniform);
    }
    expect_reference_bits(problem);
    if (HasFatalFailure()) return;
  }
}

TEST(SamplerForms, InitialState) {
  for (const MaskLaw law : {MaskLaw::kBernoulli, MaskLaw::kPoisson}) {
    Problem problem = mixed_problem(82, 1, 1, 40, 200, 128, 1.0F, 0.02F, 0.01F);
    problem.params.law = law;
    expect_reference_bits(problem);
  }
}

/// A few cells so certain that P + exploration reaches 1, in rows that are sparse otherwise, and
/// whole rows far beyond.
TEST(SamplerForms, SaturatedCells) {
  for (const MaskLaw law : {MaskLaw::kBernoulli, MaskLaw::kPoisson}) {
    for (const double exploration : {0.0, 0.02}) {
      Problem problem = mixed_problem(83, 1, 1, 50, 190, 6, 0.4F);
      problem.params.law = law;
      problem.params.exploration = exploration;
      for (std::size_t j = 0; j < 190; j += 23) {
        for (std::size_t c = 0; c < 6; ++c) problem.key[j * 6 + c] = 1.0F;
      }
      for (std::size_t i = 0; i < 50 * 6; ++i) {
        problem.query[i] *= i % 4 == 0 ? 0x1p-9F : 0x1p-4F;
      }
      for (float& entry : problem.block) entry *= 60.0F;
      expect_reference_bits(problem);
    }
  }
}

/// Exponents at both ends: shifts beyond 32 bits to the left and to the right.
TEST(SamplerForms, ExtremeMagnitudes) {
  for (const int power : {-90, -40, -20, 0, 20, 40, 90}) {
    SCOPED_TRACE("S times 2^" + std::to_string(power));
    Problem problem = mixed_problem(84, 1, 1, 20, 150, 5, 1.0F, 9.0F);
    Uniform uniform(85);
    for (float& entry : problem.block) entry = std::ldexp(entry, power);
    scale_rows(problem.key, 5, 40, uniform);
    scale_rows(problem.query, 5, 40, uniform);
    for (const double exploration : {0.0, 0.05}) {
      problem.params.exploration = exploration;
      expect_reference_bits(problem);
    }
  }
}

/// Weights and keys in the same remainders everywhere, so that 8-bit bounds are reached: keys of
/// all ones above and below the bits that are dropped, weights that round up and down.
TEST(SamplerForms, CoarseBoundsThatAreReached) {
  for (const std::int64_t clusters : {4, 7, 64}) {
    for (int step = 0; step < 32; ++step) {
      SCOPED_TRACE(std::to_string(clusters) + " clusters, step " + std::to_string(step));
      Problem problem(1, 1, 24, 300, clusters);
      problem.mask_keys[0] += static_cast<PhiloxKey>(step);
      problem.query.assign(problem.query.size(), 0.5F);
      const float mean = 0.3F * (1.0F + static_cast<float>(step) / 32.0F);
      problem.block.assign(problem.block.size(),
                           2.0F * mean / static_cast<float>(clusters * clusters));
      constexpr float kEntries[] = {32767.0F, 32512.0F, 16639.0F, 16384.0F};
      for (std::size_t i = 0; i < problem.key.size(); ++i) {
        const std::size_t key = i / static_cast<std::size_t>(clusters);
        problem.key[i] = kEntries[key % std::size(kEntries)] / 32768.0F;
      }
      expect_reference_bits(problem);
      if (HasFatalFailure()) return;
    }
  }
}

/// As many blocks as a vector has lanes, and a few more.
constexpr std::int64_t kKeys = 64 * 19 + 5;

/// A strong key that the rows do not want, among keys of 1.99 units at its exponent, which they do:
/// the bound of the block rests on rounding those up.
TEST(SamplerForms, WeakKeysAmongStrongOnes) {
  Problem problem(1, 1, 20, kKeys, 3);
  problem.params.self_loops = SelfLoops::kNone;
  problem.query.assign(problem.query.size(), 0.5F);
  for (std::size_t a = 0; a < 3; ++a) problem.block[a * 3 + 1] = 800.0F;
  for (std::size_t j = 0; j < kKeys; ++j) {
    problem.key[j * 3 + (j % 64 == 7 ? 0 : 1)] = j % 64 == 7 ? 1.0F : 1.99F * 0x1p-14F;
  }
  expect_reference_bits(problem);
}

/// P far above 1 where the block's own shift is out of range and its bound is a single unit.
TEST(SamplerForms, BoundBeyondAllShifts) {
  Problem problem(1, 1, 20, kKeys, 3);
  problem.params.self_loops = SelfLoops::kNone;
  for (std::size_t i = 0; i < 20; ++i) problem.query[i * 3] = 1.0F;
  problem.block[1] = 0x1p31F;
  problem.block[2] = 0x1p45F;
  for (std::size_t j = 0; j < kKeys; ++j) {
    problem.key[j * 3 + (j % 64 == 7 ? 0 : 1)] = j % 64 == 7 ? 1.0F : 0x1p-17F;
  }
  expect_reference_bits(problem);
}

TEST(SamplerForms, ClustersOfAllLengths) {
  for (std::int64_t clusters = 1; clusters <= 256; clusters += clusters < 36 ? 1 : 37) {
    SCOPED_TRACE(std::to_string(clusters) + " clusters");
    Problem problem =
        mixed_problem(static_cast<std::uint64_t>(clusters), 1, 1, 9, 70, clusters, 0.4F, 6.0F);
    expect_reference_bits(problem);
    if (HasFatalFailure()) return;
  }
}

TEST(SamplerForms, NothingBeyondTheInputsIsRead) {
  constexpr std::int64_t kShapes[][3] = {{1, 1, 1},    {3, 70, 5},    {17, 64, 16},
                                         {33, 65, 31}, {40, 130, 33}, {5, 127, 127}};
  for (const auto& [queries, keys, clusters] : kShapes) {
    for (const float mass : {0.002F, 0.2F, 1.0F}) {
      Problem problem = mixed_problem(86, 1, 2, queries, keys, clusters, mass, 5.0F);
      problem.query_valid.assign(static_cast<std::size_t>(queries), 1);
      problem.key_valid.assign(static_cast<std::size_t>(keys), 1);
      std::vector<EdgeList> expected(2);
      ASSERT_TRUE(reference::sample_edges(problem.point(), expected).ok());
      const GuardedArray query(problem.query);
      const GuardedArray key(problem.key);
      const GuardedArray block(problem.block);
      const GuardedArray query_valid(problem.query_valid);
      const GuardedArray key_valid(problem.key_valid);
      const GuardedArray mask_keys(problem.mask_keys);
      SamplingParams params = problem.params;
      params.query_membership = query.data();
      params.key_membership = key.data();
      params.block_matrix = block.data();
      params.query_valid = query_valid.data();
      params.key_valid = key_valid.data();
      params.mask_keys = mask_keys.data();
      expect_all_equal(params, expected);
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace sbm::kernels
