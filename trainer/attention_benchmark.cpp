#include "trainer/attention_benchmark.h"

#include <ATen/ATen.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <vector>

#include "base/error.h"
#include "base/peak_memory.h"
#include "base/random_stream.h"
#include "kernels/torch/attention.h"
#include "trainer/published_attention.h"

namespace sbm::trainer {
namespace {

/// Random inputs of one attention call that want gradients.
class Inputs {
 public:
  // The block matrix sums to 1, so memberships around sqrt(density) make P `density` in the mean.
  Inputs(const AttentionSizes& sizes, double density) {
    at::manual_seed(1);
    // As a projection leaves them: tokens before heads in memory.
    for (at::Tensor* projection : {&query_, &key_, &value_}) {
      *projection = at::randn({sizes.batch, sizes.tokens, sizes.heads, sizes.head_dim})
                        .transpose(1, 2)
                        .requires_grad_(true);
    }
    const double mean = std::sqrt(density);
    const double spread = std::min(mean, 1.0 - mean);
    for (at::Tensor* membership : {&query_membership_, &key_membership_}) {
      *membership = at::rand({sizes.batch, sizes.heads, sizes.tokens, sizes.clusters})
                        .mul_(2.0 * spread)
                        .add_(mean - spread)
                        .requires_grad_(true);
    }
    block_matrix_ = at::randn({sizes.heads, sizes.clusters * sizes.clusters})
                        .softmax(1)
                        .reshape({sizes.heads, sizes.clusters, sizes.clusters})
                        .requires_grad_(true);
    mask_keys_ = at::empty({sizes.batch, sizes.heads}, at::kLong);
    auto* next = mask_keys_.mutable_data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < sizes.batch * sizes.heads; ++i) {
      next[i] = static_cast<std::int64_t>(
          stream_key(1, {.purpose = StreamPurpose::kMask,
                         .sample = static_cast<std::uint64_t>(i / sizes.heads),
                         .head = static_cast<std::uint32_t>(i % sizes.heads)}));
    }
  }

  [[nodiscard]] kernels::torch::SbmAttentionResult sbm_forward(kernels::AttentionPath path,
                                                               bool bf16 = false) const {
    return kernels::torch::sbm_attention(
        query_, key_, value_, query_membership_, key_membership_, block_matrix_, {}, {}, mask_keys_,
        {}, {}, {}, {.exploration = 0.0, .path = path, .bf16_memberships = bf16});
  }

  /// Edges over cells of the step.
  double sbm_step(kernels::AttentionPath path = kernels::AttentionPath::kAuto,
                  bool bf16 = false) const {
    const auto result = sbm_forward(path, bf16);
    result.output.sum().backward();
    const at::Tensor counts = result.edge_counts.flatten(0, 1).sum(0);
    return (counts[0] + counts[1]).item<double>() / counts[2].item<double>();
  }

  void published_step() const {
    published_attention(query_, key_, value_, query_membership_, key_membership_, block_matrix_,
                        0.0)
        .sum()
        .backward();
  }

  void full_step() const {
    at::scaled_dot_product_attention(query_, key_, value_).sum().backward();
  }

  [[nodiscard]] std::int64_t bytes() const {
    std::int64_t sum = 0;
    for (const at::Tensor& input : differentiable()) {
      sum += static_cast<std::int64_t>(input.nbytes());
    }
    return sum;
  }

  void forget_gradients() const {
    for (at::Tensor input : differentiable()) input.mutable_grad().reset();
  }

 private:
  [[nodiscard]] std::array<at::Tensor, 6> differentiable() const {
    return {query_, key_, value_, query_membership_, key_membership_, block_matrix_};
  }

  at::Tensor query_, key_, value_, query_membership_, key_membership_, block_matrix_, mask_keys_;
};

double seconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Thread pools and code must have been paid for before. What the allocator keeps of freed memory
// would be used again unseen, so it goes back to the system first.
std::optional<std::int64_t> peak_of(const Inputs& inputs, const std::function<void()>& step) {
  inputs.forget_gradients();
  ::malloc_trim(0);
  if (!reset_peak()) return std::nullopt;
  const std::optional<std::int64_t> before = status_bytes("VmRSS");
  step();
  const std::optional<std::int64_t> peak = status_bytes("VmHWM");
  if (!before || !peak) return std::nullopt;
  return *peak - *before;
}

std::optional<std::int64_t> state_of(const Inputs& inputs) {
  inputs.forget_gradients();
  ::malloc_trim(0);
  const std::optional<std::int64_t> before = status_bytes("VmRSS");
  const auto result = inputs.sbm_forward(kernels::AttentionPath::kAuto);
  // The workspace of the forward is free again.
  ::malloc_trim(0);
  const std::optional<std::int64_t> after = status_bytes("VmRSS");
  if (!before || !after) return std::nullopt;
  return *after - *before;
}

}  // namespace

AttentionTimes time_attention(const AttentionSizes& sizes, double density, int repeats,
                              bool published, bool bf16) {
  if (repeats < 1) throw InternalError("attention benchmark: expected repeats > 0");
  const Inputs inputs(sizes, density);
  AttentionTimes times;
  times.input_bytes = inputs.bytes();
  times.density = inputs.sbm_step();
  inputs.full_step();
  times.peak_bytes = peak_of(inputs, [&] { inputs.sbm_step(); });
  times.state_bytes = state_of(inputs);
  std::vector<double> sbm_seconds, full_seconds, ratios, published_seconds, published_ratios;
  std::vector<double> bf16_seconds, bf16_ratios, bf16_to_float;
  if (published) {
    inputs.published_step();
    times.published.emplace().peak_bytes = peak_of(inputs, [&] { inputs.published_step(); });
  }
  for (int i = 0; i < repeats; ++i) {
    sbm_seconds.push_back(seconds([&] { inputs.sbm_step(); }));
    full_seconds.push_back(seconds([&] { inputs.full_step(); }));
    ratios.push_back(sbm_seconds.back() / full_seconds.back());
    if (bf16) {
      bf16_seconds.push_back(
          seconds([&] { inputs.sbm_step(kernels::AttentionPath::kAuto, true); }));
      bf16_ratios.push_back(bf16_seconds.back() / full_seconds.back());
      bf16_to_float.push_back(bf16_seconds.back() / sbm_seconds.back());
    }
    if (!published) continue;
    published_seconds.push_back(seconds([&] { inputs.published_step(); }));
    published_ratios.push_back(published_seconds.back() / sbm_seconds.back());
  }
  times.sbm_seconds = median(sbm_seconds);
  times.full_seconds = median(full_seconds);
  times.ratio = median(ratios);
  if (bf16) {
    times.bf16 = {.seconds = median(bf16_seconds),
                  .ratio = median(bf16_ratios),
                  .to_float = median(bf16_to_float)};
  }
  if (published) {
    times.published->seconds = median(published_seconds);
    times.published->ratio = median(published_ratios);
  }
  return times;
}

std::vector<PathTimes> time_paths(const AttentionSizes& sizes, const std::vector<double>& densities,
                                  int repeats) {
  if (repeats < 1) throw InternalError("attention benchmark: expected repeats > 0");
  std::vector<PathTimes> times;
  for (const double density : densities) {
    const Inputs inputs(sizes, density);
    PathTimes& time = times.emplace_back();
    time.density = inputs.sbm_step(kernels::AttentionPath::kSparse);
    inputs.sbm_step(kernels::AttentionPath::kDense);
    std::vector<double> sparse_seconds, dense_seconds, ratios;
    for (int i = 0; i < repeats; ++i) {
      sparse_seconds.push_back(seconds([&] { inputs.sbm_step(kernels::AttentionPath::kSparse); }));
      dense_seconds.push_back(seconds([&] { inputs.sbm_step(kernels::AttentionPath::kDense); }));
      ratios.push_back(dense_seconds.back() / sparse_seconds.back());
    }
    time.sparse_seconds = median(sparse_seconds);
    time.dense_seconds = median(dense_seconds);
    time.ratio = median(ratios);
  }
  return times;
}

double crossing(const std::vector<PathTimes>& times) {
  // From above: one noisy measurement far below the crossing is of no account.
  std::size_t first = times.size();
  while (first > 0 && times[first - 1].ratio <= 1.0) --first;
  if (first == times.size()) return 1.0;
  if (first == 0) return times[0].density;
  const PathTimes& before = times[first - 1];
  const double share = (before.ratio - 1.0) / (before.ratio - times[first].ratio);
  return before.density + share * (times[first].density - before.density);
}

std::vector<LengthTime> time_growth(const AttentionSizes& sizes,
                                    const std::vector<std::int64_t>& lengths, double edges_per_row,
                                    int repeats) {
  if (repeats < 1) throw InternalError("attention benchmark: expected repeats > 0");
  std::vector<LengthTime> times;
  for (const std::int64_t tokens : lengths) {
    AttentionSizes longer = sizes;
    longer.tokens = tokens;
    const Inputs inputs(longer, std::min(1.0, edges_per_row / static_cast<double>(tokens)));
    LengthTime& time = times.emplace_back();
    time.tokens = tokens;
    time.density = inputs.sbm_step();
    time.peak_bytes = peak_of(inputs, [&] { inputs.sbm_step(); });
    std::vector<double> step_seconds;
    for (int i = 0; i < repeats; ++i) {
      step_seconds.push_back(seconds([&] { inputs.sbm_step(); }));
    }
    time.seconds = median(step_seconds);
  }
  return times;
}

}  // namespace sbm::trainer
