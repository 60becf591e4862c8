#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace sbm::trainer {

/// Sizes of one attention layer's core, fp32; all positive, clusters at most 256.
struct AttentionSizes {
  std::int64_t tokens = 2048;
  std::int64_t batch = 8;
  std::int64_t heads = 2;
  std::int64_t head_dim = 32;
  std::int64_t clusters = 128;
};

/// Steps with SbmAttentionOptions::bf16_memberships.
struct Bf16Times {
  double seconds = 0.0;   ///< median of a step
  double ratio = 0.0;     ///< median of bf16 over full, each of one repeat
  double to_float = 0.0;  ///< median of bf16 over SBM in float, each of one repeat
};

/// The published dense method (published_attention()) on the same inputs.
struct PublishedTimes {
  double seconds = 0.0;                    ///< median of a step
  double ratio = 0.0;                      ///< median of published over SBM, each of one repeat
  std::optional<std::int64_t> peak_bytes;  ///< as AttentionTimes::peak_bytes
};

struct AttentionTimes {
  double density = 0.0;          ///< edges over cells, forced diagonal included
  double sbm_seconds = 0.0;      ///< median of a step along sampled edges
  double full_seconds = 0.0;     ///< median of a step of LibTorch's full attention
  double ratio = 0.0;            ///< median of sbm over full, each of one repeat
  std::int64_t input_bytes = 0;  ///< queries, keys, values, memberships and block matrices
  /// Peak of resident memory in one step along sampled edges beyond its inputs, in a process that
  /// has run such steps before, so freed blocks that the allocator keeps count too; empty where
  /// /proc does not tell.
  std::optional<std::int64_t> peak_bytes;
  /// What a step keeps between forward and backward beyond its inputs: output and edges.
  std::optional<std::int64_t> state_bytes;
  std::optional<PublishedTimes> published;  ///< when it was asked for
  std::optional<Bf16Times> bf16;            ///< when it was asked for
};

/// Times whole steps (sampling, forward, backward, products with the memberships) beside LibTorch's
/// full attention, forward and backward, on the same random queries, keys and values: in turn in
/// one process, so that the ratio holds when the machine's speed drifts. The masks' probabilities
/// are `density` in the mean, in [0, 1]. Uses at::get_num_threads() threads; seeds LibTorch's
/// generator. With `published`, the published dense method takes its turn too, with `bf16` steps
/// with memberships in bfloat16. Throws InternalError unless repeats > 0.
AttentionTimes time_attention(const AttentionSizes& sizes, double density, int repeats,
                              bool published = false, bool bf16 = false);

/// A step on either path at one density.
struct PathTimes {
  double density = 0.0;
  double sparse_seconds = 0.0;  ///< median
  double dense_seconds = 0.0;   ///< median
  double ratio = 0.0;           ///< median of dense over sparse, each of one repeat
};

/// Times steps along the edges and in tiles of cells, in turn, at each of `densities`. Throws
/// InternalError unless repeats > 0.
std::vector<PathTimes> time_paths(const AttentionSizes& sizes, const std::vector<double>& densities,
                                  int repeats);

/// The share of edges from which on tiles are as fast, interpolated between densities that ascend;
/// 1 where they never are, the first density where they always are.
double crossing(const std::vector<PathTimes>& times);

/// A step at one length.
struct LengthTime {
  std::int64_t tokens = 0;
  double density = 0.0;
  double seconds = 0.0;  ///< median
  std::optional<std::int64_t> peak_bytes;
};

/// How a step grows with the length at a constant number of edges a row: `lengths` in place of
/// sizes.tokens, P = edges_per_row / tokens in the mean. Throws InternalError unless repeats > 0.
std::vector<LengthTime> time_growth(const AttentionSizes& sizes,
                                    const std::vector<std::int64_t>& lengths, double edges_per_row,
                                    int repeats);

}  // namespace sbm::trainer
