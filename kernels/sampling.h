#pragma once

#include <cstdint>

#include "base/philox.h"

// The vocabulary of mask sampling that every device shares: what goes in, in which layout, and what
// each choice means. The law itself is written down to the bit in docs/sampler.md.
namespace sbm::kernels {

/// Version of the sampler contract of docs/sampler.md; stored in every checkpoint.
inline constexpr std::int32_t kSamplerVersion = 2;

/// How the edge A_ij follows from its probability (design, section 3.1).
enum class MaskLaw : std::int32_t {
  kBernoulli,  ///< A_ij ~ Bernoulli(min(1, P_ij + exploration))
  kPoisson,    ///< A_ij = [Poisson(P_ij + exploration) >= 1]
};

/// What happens on the diagonal, where a query meets the key of its own position.
enum class SelfLoops : std::int32_t {
  kAdd,     ///< always an edge
  kRemove,  ///< never an edge
  kNone,    ///< drawn like every other cell
};

/// One call samples the masks of `batch` x `heads` bipartite graphs. All arrays are dense,
/// row-major, and in host memory for the CPU entry points, device memory for CUDA's.
struct SamplingParams {
  std::int64_t batch = 0;
  std::int64_t heads = 0;
  std::int64_t queries = 0;   ///< n, rows; at most 2^31 - 64
  std::int64_t keys = 0;      ///< m, columns; at most 2^31 - 64
  std::int64_t clusters = 0;  ///< k, 1 to 256

  const float* query_membership = nullptr;    ///< Qhat [batch, heads, queries, clusters], in [0, 1]
  const float* key_membership = nullptr;      ///< Khat [batch, heads, keys, clusters], in [0, 1]
  const float* block_matrix = nullptr;        ///< S [heads, clusters, clusters], >= 0, row = query
  const std::uint8_t* query_valid = nullptr;  ///< [batch, queries], 0 = padding; null: all valid
  const std::uint8_t* key_valid = nullptr;    ///< [batch, keys], 0 = padding; null: all valid
  const PhiloxKey* mask_keys = nullptr;       ///< [batch, heads]: stream_key(kMask) of each graph
  /// [batch, heads]: stream_key(kProbe), for EdgeList::probabilities and probes; null: neither
  const PhiloxKey* probe_keys = nullptr;

  MaskLaw law = MaskLaw::kBernoulli;
  SelfLoops self_loops = SelfLoops::kAdd;
  double exploration = 0.0;  ///< delta, added to P inside the law; in [0, 1]
  double probe_rate = 0.0;   ///< r, the probability that a cell is probed; in [0, 1]
};

}  // namespace sbm::kernels
