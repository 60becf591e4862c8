#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/random_stream.h"
#include "kernels/torch/attention.h"

namespace sbm::bench {

/// Random inputs of one attention call, [batch, heads, tokens, ...], that want gradients.
struct RandomAttention {
  at::Tensor query;
  at::Tensor key;
  at::Tensor value;
  at::Tensor query_membership;
  at::Tensor key_membership;
  at::Tensor block_matrix;
  at::Tensor mask_keys;

  /// Memberships are uniform around sqrt(density): S sums to 1, so P is `density` in the mean.
  RandomAttention(std::int64_t batch, std::int64_t heads, std::int64_t tokens,
                  std::int64_t head_dim, std::int64_t clusters, double density) {
    at::manual_seed(1);
    // As a projection leaves them: tokens before heads in memory.
    const auto projection = [&] {
      return at::randn({batch, tokens, heads, head_dim}).transpose(1, 2).requires_grad_(true);
    };
    query = projection();
    key = projection();
    value = projection();
    const double mean = std::sqrt(density);
    const double spread = std::min(mean, 1.0 - mean);
    const auto membership = [&] {
      at::Tensor uniform = at::rand({batch, heads, tokens, clusters});
      return uniform.mul_(2.0 * spread).add_(mean - spread).requires_grad_(true);
    };
    query_membership = membership();
    key_membership = membership();
    block_matrix = at::softmax(at::randn({heads, clusters * clusters}), 1)
                       .reshape({heads, clusters, clusters})
                       .requires_grad_(true);
    mask_keys = at::empty({batch, heads}, at::kLong);
    auto* next = mask_keys.mutable_data_ptr<std::int64_t>();
    for (std::int64_t sample = 0; sample < batch; ++sample) {
      for (std::int64_t head = 0; head < heads; ++head) {
        *next++ =
            static_cast<std::int64_t>(stream_key(1, {.purpose = StreamPurpose::kMask,
                                                     .sample = static_cast<std::uint64_t>(sample),
                                                     .head = static_cast<std::uint32_t>(head)}));
      }
    }
  }

  [[nodiscard]] kernels::torch::SbmAttentionResult forward() const {
    return kernels::torch::sbm_attention(query, key, value, query_membership, key_membership,
                                         block_matrix, {}, {}, mask_keys, {}, {}, {},
                                         {.exploration = 0.0});
  }
};

}  // namespace sbm::bench
