#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "kernels/attention.h"
#include "kernels/cuda/attention.h"
#include "kernels/sampling.h"

namespace sbm::cuda_host {

/// What a test of a whole layer asks for.
struct WholeSpec {
  std::int64_t batch = 1;
  std::int64_t heads = 2;
  std::int64_t queries = 84;
  std::int64_t keys = 100;
  std::int64_t head_dim = 32;
  std::int64_t clusters = 8;
  kernels::cuda::Precision precision = kernels::cuda::Precision::kFloat32;
  kernels::Estimator estimator = kernels::Estimator::kPaper;
  kernels::MaskLaw law = kernels::MaskLaw::kBernoulli;
  kernels::SelfLoops self_loops = kernels::SelfLoops::kAdd;
  bool padded = false;
  double dropout = 0.0;
  double probe_rate = 0.0;
  std::uint64_t seed = 1;

  [[nodiscard]] std::string name() const {
    std::string text;
    for (const auto& [label, value] :
         {std::pair{"d", head_dim},
          {"k", clusters},
          {"precision", static_cast<std::int64_t>(precision)},
          {"estimator", static_cast<std::int64_t>(estimator)},
          {"law", static_cast<std::int64_t>(law)},
          {"loops", static_cast<std::int64_t>(self_loops)},
          {"padded", padded ? 1 : 0},
          {"dropout x 100", static_cast<std::int64_t>(100 * dropout)},
          {"probe rate x 100", static_cast<std::int64_t>(100 * probe_rate)}}) {
      text += std::string(label) + " " + std::to_string(value) + " ";
    }
    return text;
  }
};

}  // namespace sbm::cuda_host
