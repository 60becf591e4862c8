#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "kernels/cpu/sampler.h"
#include "kernels/reference/sampler.h"
#include "tests/kernels/sampler_problem.h"

// The law of the sampler by counting: many draws of one problem against the integer thresholds.
namespace sbm::kernels::testing {

/// A standardised sum beyond this comes by chance less than once in 10^6.
inline constexpr double kLargestZ = 5.0;

/// How often each cell became an edge.
class Counts {
 public:
  Counts(Problem& problem, int draws, cpu::CellForm form = cpu::CellForm::kFastest)
      : problem_(problem), draws_(draws) {
    const SamplingParams& params = problem.point();
    counts_.resize(static_cast<std::size_t>(params.queries * params.keys));
    SerialExecutor serial;
    std::vector<EdgeList> graph(1);
    std::vector<std::uint8_t> before(counts_.size());
    std::vector<std::uint8_t> now(counts_.size());
    for (int draw = 0; draw < draws; ++draw) {
      problem.mask_keys[0] = 0xD1B54A32D192ED03U * static_cast<std::uint64_t>(draw + 1);
      EXPECT_EQ(cpu::sample_edges(params, serial, graph, form).message(), "");
      std::fill(now.begin(), now.end(), 0);
      for (std::int64_t i = 0; i < params.queries; ++i) {
        for (auto e = graph[0].row_offsets[static_cast<std::size_t>(i)];
             e < graph[0].row_offsets[static_cast<std::size_t>(i + 1)]; ++e) {
          now[static_cast<std::size_t>(i * params.keys +
                                       graph[0].columns[static_cast<std::size_t>(e)])] = 1;
        }
      }
      for (std::size_t cell = 0; cell < now.size(); ++cell) counts_[cell] += now[cell];
      add_pairs(now, before, draw > 0);
      before = now;
    }
  }

  /// Every cell's count, all of them together, and pairs of cells, against T_ij / 2^32.
  void expect_law(bool linear) const {
    const SamplingParams& params = problem_.params;
    const reference::SampledGraph graph(params, 0, 0);
    double chi_square = 0.0;
    double chi_square_variance = 0.0;
    double excess = 0.0;
    double variance = 0.0;
    double cells = 0.0;
    double right_mean = 0.0;
    double below_mean = 0.0;
    double again_mean = 0.0;
    for (std::int64_t i = 0; i < params.queries; ++i) {
      EXPECT_EQ(graph.is_linear(i), linear) << "row " << i;
      for (std::int64_t j = 0; j < params.keys; ++j) {
        const double p = probability(graph, i, j);
        const double spread = draws_ * p * (1.0 - p);
        const double difference = count(i, j) - draws_ * p;
        excess += difference;
        variance += spread;
        if (j + 1 < params.keys) right_mean += draws_ * p * probability(graph, i, j + 1);
        if (i + 1 < params.queries) below_mean += draws_ * p * probability(graph, i + 1, j);
        again_mean += (draws_ - 1) * p * p;
        if (spread < 0.5) continue;  // too rare for a statistic of its own
        cells += 1.0;
        const double z = difference / std::sqrt(spread);
        // Skewness widens the tail of a rare cell's count.
        EXPECT_LT(std::fabs(z), 6.5 + 8.0 / std::sqrt(spread)) << i << ", " << j << ": p = " << p;
        chi_square += z * z;
        chi_square_variance += 2.0 + (1.0 - 6.0 * p * (1.0 - p)) / spread;
      }
    }
    EXPECT_LT(std::fabs(excess / std::sqrt(variance)), kLargestZ);
    EXPECT_LT(std::fabs(chi_square - cells), kLargestZ * std::sqrt(chi_square_variance) + 1e-9);
    // A sum of products of independent cells has at least a Poisson spread, and here little more.
    for (const auto& [found, mean] : {std::pair(right_, right_mean), std::pair(below_, below_mean),
                                      std::pair(again_, again_mean)}) {
      EXPECT_LT(std::fabs(found - mean), kLargestZ * pair_spread(mean)) << found << " " << mean;
    }
  }

  [[nodiscard]] double count(std::int64_t row, std::int64_t key) const {
    return counts_[static_cast<std::size_t>(row * problem_.params.keys + key)];
  }

 private:
  static double probability(const reference::SampledGraph& graph, std::int64_t row,
                            std::int64_t key) {
    return graph.threshold(row, key) * 0x1p-32;
  }
  /// Products that share a cell are correlated: twice p times their mean is a bound.
  [[nodiscard]] double pair_spread(double mean) const {
    const double cells = static_cast<double>(counts_.size()) * draws_;
    return std::sqrt(mean * (1.0 + 4.0 * std::sqrt(mean / cells)) + 1.0);
  }
  void add_pairs(const std::vector<std::uint8_t>& now, const std::vector<std::uint8_t>& before,
                 bool has_before) {
    const auto keys = static_cast<std::size_t>(problem_.params.keys);
    for (std::size_t cell = 0; cell < now.size(); ++cell) {
      if (now[cell] == 0) continue;
      if ((cell + 1) % keys != 0) right_ += now[cell + 1];
      if (cell + keys < now.size()) below_ += now[cell + keys];
      if (has_before) again_ += before[cell];
    }
  }

  Problem& problem_;
  double draws_;
  std::vector<std::int32_t> counts_;
  double right_ = 0.0;
  double below_ = 0.0;
  double again_ = 0.0;
};

}  // namespace sbm::kernels::testing
