#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "base/philox.h"
#include "kernels/sampling.h"

// Sampling problems for tests: random inputs that are the same on every machine.
namespace sbm::kernels::testing {

/// A stream of uniform numbers.
class Uniform {
 public:
  explicit Uniform(std::uint64_t seed) : seed_(seed) {}
  /// In [0, 1), with 24 bits: exact in float.
  float operator()() {
    const auto word = philox4x32<10>({static_cast<std::uint32_t>(next_ / 4), 0, 0, 0x7E57},
                                     seed_)[static_cast<std::size_t>(next_ % 4)];
    ++next_;
    return static_cast<float>(word >> 8) * 0x1p-24F;
  }
  /// In [0, count).
  std::int64_t below(std::int64_t count) {
    return static_cast<std::int64_t>(static_cast<double>((*this)()) * static_cast<double>(count));
  }

 private:
  std::uint64_t seed_;
  std::uint64_t next_ = 0;
};

/// Arrays of one call, and parameters that point to them.
struct Problem {
  std::vector<float> query;
  std::vector<float> key;
  std::vector<float> block;
  std::vector<std::uint8_t> query_valid;
  std::vector<std::uint8_t> key_valid;
  std::vector<PhiloxKey> mask_keys;
  std::vector<PhiloxKey> probe_keys;
  SamplingParams params;

  Problem(std::int64_t batch, std::int64_t heads, std::int64_t queries, std::int64_t keys,
          std::int64_t clusters) {
    params.batch = batch;
    params.heads = heads;
    params.queries = queries;
    params.keys = keys;
    params.clusters = clusters;
    query.resize(static_cast<std::size_t>(batch * heads * queries * clusters));
    key.resize(static_cast<std::size_t>(batch * heads * keys * clusters));
    block.resize(static_cast<std::size_t>(heads * clusters * clusters));
    for (std::int64_t graph = 0; graph < batch * heads; ++graph) {
      mask_keys.push_back(0x9E3779B97F4A7C15U * static_cast<std::uint64_t>(graph + 1));
      probe_keys.push_back(0xC2B2AE3D27D4EB4FU * static_cast<std::uint64_t>(graph + 1));
    }
  }

  /// The parameters with their pointers set; padding only where the vectors are filled.
  const SamplingParams& point() {
    params.query_membership = query.data();
    params.key_membership = key.data();
    params.block_matrix = block.data();
    params.query_valid = query_valid.empty() ? nullptr : query_valid.data();
    params.key_valid = key_valid.empty() ? nullptr : key_valid.data();
    params.mask_keys = mask_keys.data();
    params.probe_keys = probe_keys.data();
    return params;
  }

  [[nodiscard]] std::int64_t graphs() const { return params.batch * params.heads; }

  /// P in double precision, before exploration.
  [[nodiscard]] double probability(std::int64_t graph, std::int64_t row,
                                   std::int64_t column) const {
    const std::int64_t k = params.clusters;
    const float* q = query.data() + (graph * params.queries + row) * k;
    const float* w = key.data() + (graph * params.keys + column) * k;
    const float* s = block.data() + graph % params.heads * k * k;
    double sum = 0.0;
    for (std::int64_t a = 0; a < k; ++a) {
      for (std::int64_t c = 0; c < k; ++c) {
        sum += static_cast<double>(q[a]) * static_cast<double>(s[a * k + c]) *
               static_cast<double>(w[c]);
      }
    }
    return sum;
  }
};

/// Mixed memberships of `sharpness` (0: all near one half) and an S that sums to `mass` over its
/// entries, as spread as 2^(+- spread / 2).
inline Problem mixed_problem(std::uint64_t seed, std::int64_t batch, std::int64_t heads,
                             std::int64_t queries, std::int64_t keys, std::int64_t clusters,
                             float mass, float sharpness = 4.0F, float spread = 6.0F) {
  Problem problem(batch, heads, queries, keys, clusters);
  Uniform uniform(seed);
  const auto membership = [&] {
    // A rational function in place of the sigmoid: no library function enters the inputs.
    const float logit = sharpness * (uniform() - 0.5F);
    return 0.5F + 0.5F * logit / (1.0F + std::fabs(logit));
  };
  for (float& value : problem.query) value = membership();
  for (float& value : problem.key) value = membership();
  const std::int64_t entries = clusters * clusters;
  for (std::int64_t head = 0; head < heads; ++head) {
    float* s = problem.block.data() + head * entries;
    float sum = 0.0F;
    for (std::int64_t i = 0; i < entries; ++i) {
      const float exponent = spread * (uniform() - 0.5F);
      const float whole = std::floor(exponent);
      s[i] = std::ldexp(1.0F + (exponent - whole), static_cast<int>(whole));
      sum += s[i];
    }
    for (std::int64_t i = 0; i < entries; ++i) s[i] = s[i] / sum * mass;
  }
  return problem;
}

}  // namespace sbm::kernels::testing
