#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "base/random_stream.h"
#include "kernels/torch/attention.h"
#include "kernels/torch/operators.h"
#include "tests/kernels_torch/test_device.h"

namespace sbm::kernels::torch {

/// One attention call with random inputs, as a test writes it down.
struct AttentionProblem {
  at::Tensor query;
  at::Tensor key;
  at::Tensor value;
  at::Tensor query_membership;
  at::Tensor key_membership;
  at::Tensor block_matrix;
  std::optional<at::Tensor> query_valid;
  std::optional<at::Tensor> key_valid;
  at::Tensor mask_keys;
  std::optional<at::Tensor> probe_keys;
  std::optional<at::Tensor> dropout_keys;
  std::optional<at::Tensor> density_gradient;
  SbmAttentionOptions options;

  /// The six tensors that gradients flow to, in the order of the operator.
  [[nodiscard]] std::vector<at::Tensor> sources() const {
    return {query, key, value, query_membership, key_membership, block_matrix};
  }
  void require_gradients() const {
    for (at::Tensor source : sources()) source.requires_grad_(true);
  }
  SbmAttentionResult run() const {
    return sbm_attention(query, key, value, query_membership, key_membership, block_matrix,
                         query_valid, key_valid, mask_keys, probe_keys, dropout_keys,
                         density_gradient, options);
  }
  /// The operator itself, with the edges and the log-sum-exp that run() drops.
  [[nodiscard]] AttentionOutputs run_operator() const {
    return dispatch_attention(
        query, key, value, query_membership, key_membership, block_matrix, query_valid, key_valid,
        mask_keys, probe_keys, dropout_keys, density_gradient,
        static_cast<std::int64_t>(options.law), static_cast<std::int64_t>(options.self_loops),
        options.exploration, static_cast<std::int64_t>(options.estimator), options.clip,
        options.probe_rate, options.dropout, static_cast<std::int64_t>(options.path),
        options.dense_from, options.bf16_memberships);
  }
};

struct ProblemSizes {
  std::int64_t batch = 2;
  std::int64_t heads = 3;
  std::int64_t queries = 37;
  std::int64_t keys = 37;
  std::int64_t head_dim = 8;
  std::int64_t clusters = 5;
};

/// int64 [batch, heads]: a stream of its own for each (sample, head), from `first_sample` on.
inline at::Tensor stream_keys(StreamPurpose purpose, std::int64_t batch, std::int64_t heads,
                              std::int64_t first_sample = 0) {
  at::Tensor keys = at::empty({batch, heads}, at::kLong);
  auto* next = keys.mutable_data_ptr<std::int64_t>();
  for (std::int64_t sample = 0; sample < batch; ++sample) {
    for (std::int64_t head = 0; head < heads; ++head) {
      *next++ = static_cast<std::int64_t>(
          stream_key(5, {.purpose = purpose,
                         .sample = static_cast<std::uint64_t>(first_sample + sample),
                         .head = static_cast<std::uint32_t>(head)}));
    }
  }
  return keys.to(test_device());
}

/// Bool [lengths.size(), tokens]: the first lengths[b] tokens of sample b.
inline at::Tensor valid_prefix(const std::vector<std::int64_t>& lengths, std::int64_t tokens) {
  at::Tensor valid = at::zeros({static_cast<std::int64_t>(lengths.size()), tokens}, at::kBool);
  for (std::size_t b = 0; b < lengths.size(); ++b) {
    valid[static_cast<std::int64_t>(b)].narrow(0, 0, lengths[b]).fill_(true);
  }
  return valid.to(test_device());
}

/// Random inputs whose cells have probabilities spread around 1/4, as at the start of training.
inline AttentionProblem random_problem(const ProblemSizes& sizes, std::uint64_t seed) {
  at::manual_seed(seed);
  const auto normal = [](at::IntArrayRef shape) { return at::randn(shape, at::kFloat); };
  AttentionProblem problem;
  problem.query = normal({sizes.batch, sizes.heads, sizes.queries, sizes.head_dim});
  problem.key = normal({sizes.batch, sizes.heads, sizes.keys, sizes.head_dim});
  problem.value = normal({sizes.batch, sizes.heads, sizes.keys, sizes.head_dim});
  problem.query_membership =
      at::sigmoid(normal({sizes.batch, sizes.heads, sizes.queries, sizes.clusters}));
  problem.key_membership =
      at::sigmoid(normal({sizes.batch, sizes.heads, sizes.keys, sizes.clusters}));
  problem.block_matrix = at::softmax(normal({sizes.heads, sizes.clusters * sizes.clusters}), 1)
                             .reshape({sizes.heads, sizes.clusters, sizes.clusters});
  for (at::Tensor* source :
       {&problem.query, &problem.key, &problem.value, &problem.query_membership,
        &problem.key_membership, &problem.block_matrix}) {
    *source = source->to(test_device());
  }
  problem.mask_keys = stream_keys(StreamPurpose::kMask, sizes.batch, sizes.heads);
  return problem;
}

}  // namespace sbm::kernels::torch
